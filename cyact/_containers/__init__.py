"""pandas, xarray, masked arrays and Dask: the only place that knows them."""
