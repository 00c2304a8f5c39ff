"""Pure kernels on arrays that several rooms share. Nothing is re-exported here."""
