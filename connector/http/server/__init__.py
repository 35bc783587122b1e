"""uvicorn as this product runs it."""
