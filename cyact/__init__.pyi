# Written by tools/stubs.py; do not edit.
from cyact import backward as backward
from cyact import derivative as derivative
from cyact._catalog import catalog as catalog
from cyact._config import show_config as show_config
from cyact._threads import get_num_threads as get_num_threads
from cyact._threads import num_threads as num_threads
from cyact._threads import set_num_threads as set_num_threads
from cyact.elementwise import elu as elu
from cyact.elementwise import gelu as gelu
from cyact.elementwise import identity as identity
from cyact.elementwise import leaky_relu as leaky_relu
from cyact.elementwise import relu as relu
from cyact.elementwise import sigmoid as sigmoid
from cyact.elementwise import silu as silu
from cyact.elementwise import softplus as softplus
from cyact.elementwise import softsign as softsign
from cyact.elementwise import tanh as tanh
from cyact.losses import cross_entropy as cross_entropy
from cyact.rows import log_softmax as log_softmax
from cyact.rows import logsumexp as logsumexp
from cyact.rows import softmax as softmax

expit = sigmoid
swish = silu

__version__: str
__all__ = [
    "backward", "catalog", "cross_entropy", "derivative", "elu", "expit", "gelu",
    "get_num_threads", "identity", "leaky_relu", "log_softmax", "logsumexp", "num_threads",
    "relu", "set_num_threads", "show_config", "sigmoid", "silu", "softmax", "softplus",
    "softsign", "swish", "tanh",
]
