# runtime-image       BASE, and {{ contents }}; this is the image that runs
