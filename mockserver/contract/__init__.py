"""What the documents promise: operations, schemas, fixtures, and answers made from them."""
