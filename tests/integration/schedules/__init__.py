"""A package, so that its fixtures with the scope `package` end with its tests."""
