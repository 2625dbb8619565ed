/** int8 codes of uint8 pixels at scale 1/255 and zero point -128. */
export function pixelCodes(pixels: Uint8Array): Int8Array {
  return Int8Array.from(pixels, (pixel) => pixel - 128);
}

/** uint8 pixels as floats 0..1. */
export function pixelFloats(pixels: Uint8Array): Float32Array {
  return Float32Array.from(pixels, (pixel) => pixel / 255);
}
