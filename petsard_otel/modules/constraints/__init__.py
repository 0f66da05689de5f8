"""The rules of the Constrainer: what they mean, which rows keep them, drawing more rows."""
