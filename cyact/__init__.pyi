# Written by tools/stubs.py; do not edit.
from cyact import backward as backward
from cyact import derivative as derivative
from cyact._catalog import catalog as catalog
from cyact._config import show_config as show_config
from cyact._engine.threads import get_num_threads as get_num_threads
from cyact._engine.threads import num_threads as num_threads
from cyact._engine.threads import set_num_threads as set_num_threads
from cyact.elementwise import algebraic_sigmoid as algebraic_sigmoid
from cyact.elementwise import arctan as arctan
from cyact.elementwise import bent_identity as bent_identity
from cyact.elementwise import celu as celu
from cyact.elementwise import dish as dish
from cyact.elementwise import elu as elu
from cyact.elementwise import erf as erf
from cyact.elementwise import erfc as erfc
from cyact.elementwise import exp as exp
from cyact.elementwise import expm1 as expm1
from cyact.elementwise import gaussian as gaussian
from cyact.elementwise import gelu as gelu
from cyact.elementwise import generalized_logistic as generalized_logistic
from cyact.elementwise import gudermannian as gudermannian
from cyact.elementwise import hard_shrink as hard_shrink
from cyact.elementwise import hard_sigmoid as hard_sigmoid
from cyact.elementwise import hard_swish as hard_swish
from cyact.elementwise import hard_tanh as hard_tanh
from cyact.elementwise import identity as identity
from cyact.elementwise import isrlu as isrlu
from cyact.elementwise import leaky_relu as leaky_relu
from cyact.elementwise import log1mexp as log1mexp
from cyact.elementwise import log1p as log1p
from cyact.elementwise import log_ndtr as log_ndtr
from cyact.elementwise import log_sigmoid as log_sigmoid
from cyact.elementwise import logit as logit
from cyact.elementwise import mish as mish
from cyact.elementwise import ndtr as ndtr
from cyact.elementwise import relu as relu
from cyact.elementwise import relu6 as relu6
from cyact.elementwise import relu_k as relu_k
from cyact.elementwise import selu as selu
from cyact.elementwise import sigmoid as sigmoid
from cyact.elementwise import silu as silu
from cyact.elementwise import soft_shrink as soft_shrink
from cyact.elementwise import softplus as softplus
from cyact.elementwise import softsign as softsign
from cyact.elementwise import sparse_plus as sparse_plus
from cyact.elementwise import sparse_sigmoid as sparse_sigmoid
from cyact.elementwise import squared_relu as squared_relu
from cyact.elementwise import squareplus as squareplus
from cyact.elementwise import step as step
from cyact.elementwise import tanh as tanh
from cyact.elementwise import tanh_shrink as tanh_shrink
from cyact.elementwise import threshold as threshold
from cyact.elementwise import thresholded_relu as thresholded_relu
from cyact.gated import bilinear as bilinear
from cyact.gated import geglu as geglu
from cyact.gated import glu as glu
from cyact.gated import reglu as reglu
from cyact.gated import swiglu as swiglu
from cyact.losses import binary_cross_entropy as binary_cross_entropy
from cyact.losses import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from cyact.losses import cross_entropy as cross_entropy
from cyact.losses import focal_loss as focal_loss
from cyact.losses import kl_div as kl_div
from cyact.losses import nll_loss as nll_loss
from cyact.rectifiers import crelu as crelu
from cyact.rectifiers import noisy_relu as noisy_relu
from cyact.rectifiers import prelu as prelu
from cyact.rectifiers import rrelu as rrelu
from cyact.rows import log_softmax as log_softmax
from cyact.rows import logmeanexp as logmeanexp
from cyact.rows import logsumexp as logsumexp
from cyact.rows import softmax as softmax
from cyact.rows import softmin as softmin
from cyact.sampling import gumbel_softmax as gumbel_softmax
from cyact.sparse import entmax as entmax
from cyact.sparse import entmax15 as entmax15
from cyact.sparse import hardmax as hardmax
from cyact.sparse import maxout as maxout
from cyact.sparse import sparsemax as sparsemax

expit = sigmoid
swish = silu

__version__: str
__all__ = [
    "algebraic_sigmoid", "arctan", "backward", "bent_identity", "bilinear",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "catalog", "celu", "crelu",
    "cross_entropy", "derivative", "dish", "elu", "entmax", "entmax15", "erf", "erfc", "exp",
    "expit", "expm1", "focal_loss", "gaussian", "geglu", "gelu", "generalized_logistic",
    "get_num_threads", "glu", "gudermannian", "gumbel_softmax", "hard_shrink", "hard_sigmoid",
    "hard_swish", "hard_tanh", "hardmax", "identity", "isrlu", "kl_div", "leaky_relu",
    "log1mexp", "log1p", "log_ndtr", "log_sigmoid", "log_softmax", "logit", "logmeanexp",
    "logsumexp", "maxout", "mish", "ndtr", "nll_loss", "noisy_relu", "num_threads", "prelu",
    "reglu", "relu", "relu6", "relu_k", "rrelu", "selu", "set_num_threads", "show_config",
    "sigmoid", "silu", "soft_shrink", "softmax", "softmin", "softplus", "softsign",
    "sparse_plus", "sparse_sigmoid", "sparsemax", "squared_relu", "squareplus", "step",
    "swiglu", "swish", "tanh", "tanh_shrink", "threshold", "thresholded_relu",
]
