"""Tables from the names of functions and operators to the kernels that compute them."""
