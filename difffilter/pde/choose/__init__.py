"""Choice of parameters from the noisy image: estimated risk (SURE), rules for κ."""
