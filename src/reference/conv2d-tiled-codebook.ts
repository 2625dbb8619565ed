/** The OIHW weights that `shaders/conv2d-tiled-codebook.wgsl` multiplies; the rest of it is conv2d's twin. */
export function conv2dTiledCodebook(codes: Uint8Array, codebook: Float32Array): Float32Array {
  return Float32Array.from(codes, (code) => codebook[code]);
}
