"""pandas, xarray, masked and Dask arrays come back as themselves; tensors give ndarrays."""

import pickle

import numpy as np
import pytest
from cases import KERNELS, ROWS, same_bits

import cyact

by_kernel = pytest.mark.parametrize("case", KERNELS, ids=str)
by_row_function = pytest.mark.parametrize("name", ROWS)
LIKE_X = [name for name in ROWS if name != "logsumexp"]
X = np.random.default_rng(0).standard_normal((4, 6)) * 3
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int64"])


# pandas

@dtypes
@by_kernel
def test_series_and_frames_come_back_as_themselves(case, dtype):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X.astype(dtype), index=list("abcd"), columns=list("uvwxyz"))
    for function in (case.value, case.derivative, lambda v: case.backward(v, v)):
        expected = function(X.astype(dtype))
        y = function(frame)
        assert isinstance(y, pd.DataFrame)
        assert y.index.equals(frame.index)
        assert y.columns.equals(frame.columns)
        assert same_bits(y.to_numpy(), expected)
        column = function(frame["v"])
        assert isinstance(column, pd.Series)
        assert column.name == "v"
        assert column.index.equals(frame.index)
        assert same_bits(column.to_numpy(), expected[:, 1])


@by_kernel
def test_columns_of_several_dtypes(case):
    """pandas hands a ufunc with parameters the whole frame in one dtype, and else columns."""
    pd = pytest.importorskip("pandas")
    mixed = pd.DataFrame({"a": np.float32([1, 2]), "b": np.float64([3, 4]), "c": np.int8([5, 6])})
    y = case.value(mixed)
    for column in mixed:
        values = mixed[column].to_numpy()
        if any(not isinstance(p, str) for p in case.params):
            values = values.astype(np.float64)
        assert same_bits(y[column].to_numpy(), case.value(values))


# Integers and bool: what they become is the same for all

def everywhere(x):
    """An array as each library has it, and how to get the values back."""
    pd, xr = pytest.importorskip("pandas"), pytest.importorskip("xarray")
    da = pytest.importorskip("dask.array")
    yield np.ma.array(x), lambda y: y.data
    yield pd.DataFrame(x), lambda y: y.to_numpy()
    yield xr.DataArray(x), lambda y: y.data
    yield xr.DataArray(x).chunk(2), lambda y: y.data.compute(scheduler="synchronous")
    yield da.from_array(x, chunks=(2, 6)), lambda y: y.compute(scheduler="synchronous")


@pytest.mark.parametrize("given", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i2",
                                   ">i8", "f2", "f4", "f8"])
@pytest.mark.parametrize(("name", "params"), [
    ("gelu", ()), ("relu", ()), ("elu", (0.3,)), ("hard_tanh", (-0.1, 2.3))])
def test_all_libraries_agree_on_the_dtype(name, params, given):
    x = (np.arange(24).reshape(4, 6) - (12 if np.dtype(given).kind in "if" else 0)).astype(given)
    wide = x.dtype if x.dtype.kind == "f" else np.result_type(x.dtype, np.float32)
    function, slope = getattr(cyact, name), getattr(cyact.derivative, name)
    for bias in (None, np.linspace(-1, 1, 6), np.float32([1, 2, 3, 4, 5, 0.1])):
        keywords = {} if bias is None else {"bias": bias}
        y, dy = function(x, *params, **keywords), slope(x, *params, **keywords)
        assert y.dtype == dy.dtype == wide
        for laid, values in everywhere(x):
            found = function(laid, *params, **keywords)
            assert same_bits(values(found), y), type(laid)
            assert set(getattr(found, "dtypes", None) if hasattr(found, "columns")
                       else [found.dtype]) == {wide}
            assert same_bits(values(slope(laid, *params, **keywords)), dy), type(laid)
    series = pytest.importorskip("pandas").Series(x[0])
    for keywords in ({}, {"bias": np.linspace(-1, 1, 6)}):
        assert same_bits(function(series, *params, **keywords).to_numpy(),
                         function(x[0], *params, **keywords))


@pytest.mark.parametrize("given", ["i1", "f4", "f8"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_all_libraries_take_a_dtype(given, dtype):
    x = X.astype(given)
    for params in ((), (0.3,)):
        for keywords in ({}, {"bias": np.linspace(-1, 1, 6)}):
            function = cyact.elu if params else cyact.gelu
            expected = function(x, *params, dtype=dtype, **keywords)
            assert expected.dtype == dtype
            for laid, values in everywhere(x):
                y = function(laid, *params, dtype=dtype, **keywords)
                assert type(y) is type(laid)
                assert same_bits(values(y), expected), type(laid)


def test_a_dask_backed_array_stays_lazy():
    xr, da = pytest.importorskip("xarray"), pytest.importorskip("dask.array")
    lazy = xr.DataArray(X).chunk(2)
    for y in (cyact.gelu(lazy), cyact.gelu(lazy, dtype="f4"), cyact.gelu(lazy, bias=np.ones(6))):
        assert isinstance(y.data, da.Array)


@by_row_function
def test_frames_along_an_axis(name):
    pd = pytest.importorskip("pandas")
    function = getattr(cyact, name)
    frame = pd.DataFrame(X, index=list("abcd"), columns=list("uvwxyz"))
    for given, values in [(frame, X), (frame.T, X.T), (frame.iloc[::2, 1:], X[::2, 1:])]:
        for axis in (0, 1, -1):
            y = function(given, axis=axis)
            assert same_bits(y.to_numpy(), function(values, axis=axis))
            if name == "logsumexp":
                assert isinstance(y, pd.Series)
                assert y.index.equals(given.columns if axis == 0 else given.index)
            else:
                assert isinstance(y, pd.DataFrame)
                assert y.index.equals(given.index)
                assert y.columns.equals(given.columns)


@pytest.mark.parametrize("name", LIKE_X)
def test_series_along_an_axis_and_backward(name):
    pd = pytest.importorskip("pandas")
    series = pd.Series(X[0], index=list("uvwxyz"), name="row")
    y = getattr(cyact, name)(series)
    assert isinstance(y, pd.Series)
    assert y.name == "row"
    assert y.index.equals(series.index)
    assert same_bits(y.to_numpy(), getattr(cyact, name)(X[0]))
    frame = pd.DataFrame(X, columns=list("uvwxyz"))
    for backward in (getattr(cyact.backward, name),):
        for grad in (frame, np.ones_like(X)):
            found = backward(grad, frame)
            assert isinstance(found, pd.DataFrame)
            assert found.columns.equals(frame.columns)
            assert same_bits(found.to_numpy(), backward(np.asarray(grad), X))


def test_bad_frames_are_refused():
    pd = pytest.importorskip("pandas")
    text = pd.DataFrame({"a": ["x", "y"]})
    for function in (cyact.gelu, cyact.softmax):
        with pytest.raises(TypeError, match="not supported"):
            function(text)


# xarray

@dtypes
@by_kernel
def test_data_arrays_come_back_as_themselves(case, dtype):
    xr = pytest.importorskip("xarray")
    data = xr.DataArray(X.astype(dtype), dims=("row", "class"), coords={"row": list("abcd")},
                        name="logits")
    for function in (case.value, case.derivative, lambda v: case.backward(v, v)):
        y = function(data)
        assert isinstance(y, xr.DataArray)
        assert y.dims == data.dims
        assert y.coords.equals(data.coords)
        assert same_bits(y.data, function(X.astype(dtype)))
    both = xr.Dataset({"one": data, "two": 2 * data})
    y = case.value(both)
    assert isinstance(y, xr.Dataset)
    assert same_bits(y["two"].data, case.value((2 * data).data))


@by_row_function
def test_dimensions_by_name(name):
    xr = pytest.importorskip("xarray")
    function = getattr(cyact, name)
    data = xr.DataArray(X, dims=("row", "class"), coords={"row": list("abcd")}, name="logits")
    for dim, axis in [("row", 0), ("class", 1)]:
        expected = function(X, axis=axis)
        for given in (dim, axis):
            y = function(data, axis=given)
            assert isinstance(y, xr.DataArray)
            assert same_bits(y.data, expected)
            assert y.dims == (data.dims if name in LIKE_X else
                              tuple(d for d in data.dims if d != dim))
            assert ("row" in y.coords) == ("row" in y.dims)
    both = xr.Dataset({"one": data, "two": data.transpose()})
    y = function(both, axis="class")
    assert isinstance(y, xr.Dataset)
    assert same_bits(y["one"].data, function(X, axis=1))
    assert same_bits(y["two"].data, function(X.T, axis=0))
    with pytest.raises(ValueError, match="nonsense"):
        function(data, axis="nonsense")


@pytest.mark.parametrize("name", LIKE_X)
def test_backward_of_data_arrays(name):
    xr = pytest.importorskip("xarray")
    data = xr.DataArray(X, dims=("row", "class"))
    grad = np.cos(data)
    backward = getattr(cyact.backward, name)
    expected = backward(np.cos(X), X, axis=0)
    for g in (grad, grad.transpose(), grad.data):
        y = backward(g, data, axis="row")
        assert isinstance(y, xr.DataArray)
        assert y.dims == data.dims
        assert same_bits(y.data, expected)


# Masked arrays

@by_kernel
def test_masked_arrays_keep_their_masks(case):
    mask = X > 1
    given = np.ma.array(X, mask=mask)
    for function in (case.value, case.derivative, lambda v: case.backward(v, v)):
        y = function(given)
        assert isinstance(y, np.ma.MaskedArray)
        np.testing.assert_array_equal(np.ma.getmaskarray(y), mask)
        assert same_bits(y.data[~mask], function(X)[~mask])


@by_row_function
@pytest.mark.parametrize("hidden", [np.nan, np.inf, 1e300, -3.0])
def test_masked_entries_are_not_in_the_sum(name, hidden):
    function = getattr(cyact, name)
    mask = np.zeros(X.shape, bool)
    mask[0, 2:4] = mask[1, 0] = mask[3] = True
    given = np.ma.array(np.where(mask, hidden, X), mask=mask)
    y = function(given)
    assert isinstance(y, np.ma.MaskedArray)
    for row in range(3):
        kept = ~mask[row]
        expected = function(X[row][kept])
        if name == "logsumexp":
            np.testing.assert_allclose(y[row], expected, rtol=1e-15)
        else:
            np.testing.assert_allclose(y[row].data[kept], expected, rtol=1e-15)
            np.testing.assert_array_equal(np.ma.getmaskarray(y)[row], mask[row])
    assert np.ma.getmaskarray(y)[3].all()
    assert given.data[0, 2] == hidden or np.isnan(hidden)


@pytest.mark.parametrize("name", LIKE_X)
def test_backward_of_masked_arrays(name):
    mask = np.zeros(X.shape, bool)
    mask[0, 2:4] = True
    given = np.ma.array(np.where(mask, np.nan, X), mask=mask)
    grad = np.cos(X)
    backward = getattr(cyact.backward, name)
    for g in (np.ma.array(grad, mask=mask), np.where(mask, 0, grad)):
        y = backward(g, given)
        assert isinstance(y, np.ma.MaskedArray)
        np.testing.assert_array_equal(np.ma.getmaskarray(y), mask)
        kept = ~mask[0]
        np.testing.assert_allclose(y.data[0][kept], backward(grad[0][kept], X[0][kept]), rtol=1e-13)
        np.testing.assert_allclose(y.data[1:], backward(grad[1:], X[1:]), rtol=1e-13)


# Dask

@dtypes
@by_kernel
def test_dask_arrays_stay_lazy(case, dtype):
    da = pytest.importorskip("dask.array")
    given = da.from_array(X.astype(dtype), chunks=(2, 3))
    for function in (case.value, case.derivative, lambda v: case.backward(v, v)):
        y = function(given)
        assert isinstance(y, da.Array)
        assert y.chunks == given.chunks
        computed = y.compute(scheduler="threads")
        assert y.dtype == computed.dtype
        assert same_bits(computed, function(X.astype(dtype)))


@by_row_function
@pytest.mark.parametrize("chunks", [(2, 3), (4, 6), (1, 6), (4, 1)], ids=str)
def test_dask_along_an_axis_even_a_split_one(name, chunks):
    da = pytest.importorskip("dask.array")
    function = getattr(cyact, name)
    given = da.from_array(X, chunks=chunks)
    for axis in (0, 1, -1, -2):
        y = function(given, axis=axis)
        assert isinstance(y, da.Array)
        expected = function(X, axis=axis)
        assert y.shape == expected.shape
        assert y.dtype == expected.dtype
        assert same_bits(y.compute(scheduler="threads"), expected)
    if name == "logsumexp":
        y = function(given, keepdims=True)
        assert y.shape == (4, 1)
        assert same_bits(y.compute(), function(X, keepdims=True))


@pytest.mark.parametrize("name", LIKE_X)
def test_backward_of_dask_arrays(name):
    da = pytest.importorskip("dask.array")
    given, grad = da.from_array(X, chunks=2), da.from_array(np.cos(X), chunks=3)
    backward = getattr(cyact.backward, name)
    for axis in (0, 1):
        expected = backward(np.cos(X), X, axis=axis)
        for g in (grad, np.cos(X)):
            y = backward(g, given, axis=axis)
            assert isinstance(y, da.Array)
            assert same_bits(y.compute(), expected)
        output = getattr(cyact, name)(given, axis=axis)
        y = backward(grad, output=output, axis=axis)
        np.testing.assert_allclose(y.compute(), expected, atol=1e-13)


def test_dask_graphs_survive_pickling():
    """As they do when sent to a cluster."""
    da = pytest.importorskip("dask.array")
    cloudpickle = pytest.importorskip("cloudpickle")
    given = da.from_array(X, chunks=(2, 3))
    for y, expected in [(cyact.gelu(given), cyact.gelu(X)),
                        (cyact.elu(given, 0.3), cyact.elu(X, 0.3)),
                        (cyact.softmax(given), cyact.softmax(X)),
                        (cyact.backward.tanh(given, given), cyact.backward.tanh(X, X)),
                        (cyact.backward.softmax(given, given), cyact.backward.softmax(X, X)),
                        (cyact.logsumexp(given, 0), cyact.logsumexp(X, 0))]:
        again = pickle.loads(cloudpickle.dumps(y))
        assert same_bits(again.compute(scheduler="synchronous"), expected)


def test_dask_runs_in_other_processes():
    da = pytest.importorskip("dask.array")
    pytest.importorskip("cloudpickle")
    given = da.from_array(X, chunks=(2, 6))
    y = cyact.softmax(cyact.gelu(given))
    found = y.compute(scheduler="processes", num_workers=1)
    assert same_bits(found, cyact.softmax(cyact.gelu(X)))


# Tensors and other DLPack exporters

class Exporter:
    """Nothing but DLPack."""

    def __init__(self, x):
        self.x = x

    def __dlpack__(self, **keywords):
        return self.x.__dlpack__(**keywords)

    def __dlpack_device__(self):
        return self.x.__dlpack_device__()


@by_kernel
def test_dlpack_exporters_give_ndarrays(case):
    for x in (X, X.astype(np.float32)):
        for function in (case.value, case.derivative):
            y = function(Exporter(x))
            assert type(y) is np.ndarray
            assert same_bits(y, function(x))
        assert same_bits(case.backward(Exporter(x), Exporter(x)), case.backward(x, x))


@by_row_function
def test_dlpack_exporters_along_an_axis(name):
    y = getattr(cyact, name)(Exporter(X), axis=0)
    assert type(y) is np.ndarray
    assert same_bits(y, getattr(cyact, name)(X, axis=0))


def test_torch_tensors_give_ndarrays():
    torch = pytest.importorskip("torch")
    for dtype in (torch.float32, torch.float64, torch.int8):
        tensor = torch.tensor(X).to(dtype)
        values = tensor.numpy()
        for function in (cyact.gelu, cyact.derivative.gelu, cyact.softmax, cyact.logsumexp):
            for t, v in [(tensor, values), (tensor.T, values.T), (tensor[:, ::2], values[:, ::2])]:
                y = function(t)
                assert type(y) is np.ndarray
                assert same_bits(y, function(v))
        assert same_bits(cyact.backward.gelu(tensor, tensor), cyact.backward.gelu(values, values))
        assert same_bits(cyact.backward.softmax(tensor, tensor),
                         cyact.backward.softmax(values, values))
    loss = cyact.cross_entropy(torch.tensor(X), torch.tensor([0, 1, 2, 3]))
    assert loss == cyact.cross_entropy(X, [0, 1, 2, 3])


def test_a_tensor_that_requires_grad_is_refused():
    torch = pytest.importorskip("torch")
    tensor = torch.ones(3, requires_grad=True)
    for function in (cyact.gelu, cyact.softmax):
        with pytest.raises(RuntimeError, match="requires grad"):
            function(tensor)


# out= decides the type of the result

def test_with_out_the_result_is_that_ndarray():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X)
    for function in (cyact.gelu, cyact.softmax):
        out = np.empty_like(X)
        assert function(frame, out=out) is out
        assert same_bits(out, function(X))
