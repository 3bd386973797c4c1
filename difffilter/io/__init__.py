"""Reading and writing of image files and arrays, metadata included."""
