"""Where an image is filtered: NumPy arrays by Numba, tensors by PyTorch or Triton."""
