"""How fast Undertone serves, beside other ways to serve, in one run on one machine."""
