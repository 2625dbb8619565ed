// Each kernel adds one import and one name, alphabetically; `kernels` is level 1 of the public surface.
export const kernels = {};
