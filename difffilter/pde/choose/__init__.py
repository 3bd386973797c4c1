"""Parameters from the noisy image: the risk (SURE), rules for κ."""
