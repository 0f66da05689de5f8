"""The steps of the Preprocessor, which the Postprocessor takes back."""
