# slim-image          BASE, the dependencies, and bytecode; the files of the final image are copied from here
# minimal-base        Python, its standard library, and shared libraries, without a shell
# runtime-image       minimal-base, and {{ contents }}; this is the image that runs
# debug-image         runtime-image, with the shell and the programs of BASE
