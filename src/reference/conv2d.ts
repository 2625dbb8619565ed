import { type ConvGeometry, convOutput } from './conv2d-int8.ts';

/** An f32 convolution with its affine epilogue and clamp, summed in float64: input NHWC, weights OIHW, zero padding. */
export function conv2d(
  input: Float32Array,
  weights: Float32Array,
  scale: Float32Array,
  shift: Float32Array,
  [low, high]: readonly [number, number],
  geometry: ConvGeometry,
): Float32Array {
  const { batch, height, width, inChannels, outChannels, kernel, strides, dilations, pads, groups } =
    geometry;
  const [outHeight, outWidth] = convOutput(geometry);
  const perGroup = inChannels / groups;
  const result = new Float32Array(batch * outHeight * outWidth * outChannels);
  let at = 0;
  for (let n = 0; n < batch; n++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ox = 0; ox < outWidth; ox++) {
        for (let o = 0; o < outChannels; o++) {
          const first = Math.floor(o / (outChannels / groups)) * perGroup;
          let sum = 0;
          for (let c = 0; c < perGroup; c++) {
            for (let ky = 0; ky < kernel[0]; ky++) {
              const y = oy * strides[0] + ky * dilations[0] - pads[0];
              if (y < 0 || y >= height) continue;
              for (let kx = 0; kx < kernel[1]; kx++) {
                const x = ox * strides[1] + kx * dilations[1] - pads[1];
                if (x < 0 || x >= width) continue;
                const value = input[((n * height + y) * width + x) * inChannels + first + c];
                sum += value * weights[((o * perGroup + c) * kernel[0] + ky) * kernel[1] + kx];
              }
            }
          }
          result[at++] = Math.min(high, Math.max(low, sum * scale[o] + shift[o]));
        }
      }
    }
  }
  return result;
}
