"""Whoever comes from torch.nn.functional, jax.nn or keras.activations finds their functions.

Every public name there is found in `cyact.catalog` and means the same, or is excluded with a
reason. The peers run in a process of their own (they set up threads, precision and home folders
when imported); where one is not installed its tests are skipped. `KERAS_BACKEND` chooses what
Keras runs on.
"""

import importlib.util
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import cyact

PEERS = {"torch": "torch.nn.functional", "jax": "jax.nn", "keras": "keras.activations"}

# Functions of the catalogue that are still to come: delete the name when one arrives.
PENDING = {"gumbel_softmax", "logmeanexp", "softmin"}
# Where a peer's name is an alias of one of these
OTHER_NAMES = {"exponential": "exp", "hard_silu": "hard_swish"}

# Names that mean the same when called with `x` alone. In torch a final _ means in place.
SAME = {
    "torch": """
        celu celu_ elu elu_ gelu hardshrink hardsigmoid hardswish hardtanh hardtanh_ leaky_relu
        leaky_relu_ logsigmoid mish relu relu6 relu_ rrelu rrelu_ selu selu_ sigmoid silu softplus
        softshrink softsign tanh tanhshrink""",
    "jax": """
        celu elu hard_sigmoid hard_silu hard_swish hard_tanh identity leaky_relu log_sigmoid
        log_softmax logmeanexp logsumexp mish relu relu6 selu sigmoid silu soft_sign softmax
        softplus sparse_plus sparse_sigmoid squareplus swish tanh""",
    "keras": """
        celu elu exponential gelu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh linear
        log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus
        softsign sparse_plus sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink""",
}
# Their arguments and ours, where defaults, order or input differ.
MAPPED = {
    "torch": {
        "glu": ("a", "a"),
        "gumbel_softmax": None,     # random: resolves, and is tested by its distribution
        "log_softmax": ("a, 1", "a, axis=1"),
        "prelu": ("a, weight", "a, weight, axis=1"),
        "softmax": ("a, 1", "a, axis=1"),
        "softmin": ("a, 1", "a, axis=1"),
        "threshold": ("x, 0.5, -7.0", "x, 0.5, -7.0"),
        "threshold_": ("x, 0.5, -7.0", "x, 0.5, -7.0"),
    },
    "jax": {
        "gelu": ("x", "x, approximate='tanh'"),
        "glu": ("a", "a"),
        "log1mexp": ("x[x > 0]", "x[x > 0]"),
    },
    "keras": {
        "glu": ("a", "a"),
        "leaky_relu": ("x", "x, 0.2"),
        "threshold": ("x, 0.5, -7.0", "x, 0.5, -7.0"),
    },
}
# The two agree to this (float64), for these reasons; all others to 1e-12.
TOLERANCE = {
    ("torch", "softplus"): (3e-9, "torch gives x where beta * x is above 20"),
    ("keras", "tanh"): (3e-7, "Keras 3.15 on JAX computes tanh of float64 in float32"),
}
EXCLUDED = {
    "torch": {
        "a layer with weights, or its core": """
            bilinear conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d
            conv_transpose3d embedding embedding_bag grouped_mm linear multi_head_attention_forward
            scaled_dot_product_attention scaled_grouped_mm scaled_mm""",
        "dropout: random zeros, not an activation": """
            alpha_dropout dropout dropout1d dropout2d dropout3d feature_alpha_dropout""",
        "a normalisation": """
            batch_norm group_norm instance_norm layer_norm local_response_norm normalize
            rms_norm""",
        "pooling": """
            adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d
            adaptive_max_pool1d_with_indices adaptive_max_pool2d adaptive_max_pool2d_with_indices
            adaptive_max_pool3d adaptive_max_pool3d_with_indices avg_pool1d avg_pool2d avg_pool3d
            fractional_max_pool2d fractional_max_pool2d_with_indices fractional_max_pool3d
            fractional_max_pool3d_with_indices lp_pool1d lp_pool2d lp_pool3d max_pool1d
            max_pool1d_with_indices max_pool2d max_pool2d_with_indices max_pool3d
            max_pool3d_with_indices max_unpool1d max_unpool2d max_unpool3d""",
        "shapes, sampling and resizing": """
            affine_grid channel_shuffle fold grid_sample interpolate native_channel_shuffle pad
            pixel_shuffle pixel_unshuffle unfold upsample upsample_bilinear upsample_nearest""",
        "a loss (those cyact has are functions of the package, not activations)": """
            binary_cross_entropy binary_cross_entropy_with_logits cosine_embedding_loss
            cross_entropy ctc_loss gaussian_nll_loss hinge_embedding_loss huber_loss kl_div l1_loss
            linear_cross_entropy margin_ranking_loss mse_loss multi_margin_loss
            multilabel_margin_loss multilabel_soft_margin_loss nll_loss poisson_nll_loss
            smooth_l1_loss soft_margin_loss triplet_margin_loss
            triplet_margin_with_distance_loss""",
        "a distance": "cosine_similarity pairwise_distance pdist",
        "an encoding of integers": "one_hot",
        "Python machinery": """
            Optional assert_int_or_pair boolean_dispatch handle_torch_function has_torch_function
            has_torch_function_unary has_torch_function_variadic""",
    },
    "jax": {
        "a layer's core": """
            dot_product_attention get_scaled_dot_general_config scaled_dot_general
            scaled_matmul""",
        "a normalisation": "standardize",
        "an encoding of integers": "one_hot",
    },
    "keras": {
        "Python machinery": "deserialize get serialize",
    },
}

CHILD = """
import inspect, pickle, sys, warnings
warnings.simplefilter("ignore")
import numpy as np
peer, calls, data, path = pickle.load(open(sys.argv[1], "rb"))
if peer == "torch":
    import torch, torch.nn.functional as module
    convert, back = (lambda v: torch.tensor(v)), np.asarray
elif peer == "jax":
    import jax, jax.nn as module
    convert, back = jax.numpy.asarray, np.asarray
else:
    import keras
    from keras import activations as module
    convert, back = keras.ops.convert_to_tensor, keras.ops.convert_to_numpy
names = [n for n in dir(module) if not n.startswith("_") and callable(getattr(module, n))
         and not inspect.isclass(getattr(module, n))]
values = {}
for name, arguments in calls.items():
    if hasattr(module, name):
        fresh = {key: convert(v.copy()) for key, v in data.items()}
        values[name] = back(eval(f"f({arguments})", {"f": getattr(module, name), **fresh}))
pickle.dump((names, values), open(path, "wb"))
"""


# What the functions are compared on: a long vector with the kinks on its grid, a small 3-D
# array, and a weight for its axis 1.
DATA = {"x": np.linspace(-12, 12, 4800 + 1),
        "a": np.random.default_rng(0).normal(0, 3, (3, 4, 6)),
        "weight": np.array([0.25, -0.5, 0.0, 1.5])}
CALLS = {peer: dict.fromkeys(SAME[peer].split(), ("x", "x")) | MAPPED[peer] for peer in PEERS}


def pending(name):
    """Whether the function that a peer's name should find is listed as still to come."""
    key = cyact.catalog._key
    return key(OTHER_NAMES.get(name, name)) in map(key, PENDING)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Run a peer in its own process, once: its public names, and its values by name."""
    known = {}

    def run(peer):
        if importlib.util.find_spec(peer) is None:
            pytest.skip(f"{peer} is not installed")
        if peer not in known:
            folder = tmp_path_factory.mktemp(peer)
            given = {name: call[0] for name, call in CALLS[peer].items() if call}
            (folder / "in").write_bytes(pickle.dumps((peer, given, DATA, str(folder / "out"))))
            backend = "jax" if importlib.util.find_spec("jax") else "torch"
            environment = {"KERAS_BACKEND": backend, **os.environ, "KERAS_HOME": str(folder),
                           "JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "1"}
            done = subprocess.run([sys.executable, "-c", CHILD, str(folder / "in")], text=True,
                                  capture_output=True, timeout=300, env=environment)
            assert done.returncode == 0, done.stderr[-3000:]
            known[peer] = pickle.loads((folder / "out").read_bytes())
        return known[peer]
    return run


@pytest.mark.parametrize("peer", PEERS)
def test_every_public_name_is_a_function_of_ours_or_excluded(peer, ran):
    names, _ = ran(peer)
    listed = list(CALLS[peer])
    listed += [name for names in EXCLUDED[peer].values() for name in names.split()]
    assert len(listed) == len(set(listed)), "a name is listed twice"
    assert set(names) <= set(listed), "compare these, or exclude them with a reason"


@pytest.mark.parametrize(
    ("peer", "name"), [(peer, name) for peer in PEERS for name in CALLS[peer]], ids=lambda v: v)
def test_the_name_resolves_and_means_the_same(peer, name, ran):
    if pending(name):
        pytest.skip("still to come")
    function = cyact.catalog[name].function
    names, values = ran(peer)
    if name not in names:
        pytest.skip(f"not in this version of {peer}")
    if CALLS[peer][name] is None:
        return
    y = eval(f"f({CALLS[peer][name][1]})", {"f": function, **DATA})
    allowed, _ = TOLERANCE.get((peer, name), (1e-12, ""))
    np.testing.assert_allclose(np.asarray(y), values[name], rtol=1e-12, atol=allowed)


def test_what_is_listed_as_still_to_come_has_not_come():
    assert {name for name in PENDING if name in cyact.catalog} == set()
