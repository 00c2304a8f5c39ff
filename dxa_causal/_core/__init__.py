"""No science: errors, warnings, options, optional imports, random numbers, parallel work, kernels, files."""
