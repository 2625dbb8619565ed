/** Geometry of a convolution, as the kernels take it. */
export interface ConvGeometry {
  batch: number;
  height: number;
  width: number;
  inChannels: number;
  outChannels: number;
  kernel: readonly [number, number];
  strides: readonly [number, number];
  dilations: readonly [number, number];
  /** Top, left, bottom, right. */
  pads: readonly [number, number, number, number];
  groups: number;
}

/** Height and width of the output. */
export function convOutput({
  height,
  width,
  kernel,
  strides,
  dilations,
  pads,
}: ConvGeometry): [number, number] {
  const size = (extent: number, axis: 0 | 1) =>
    Math.floor(
      (extent + pads[axis] + pads[axis + 2] - ((kernel[axis] - 1) * dilations[axis] + 1)) / strides[axis],
    ) + 1;
  return [size(height, 0), size(width, 1)];
}

/**
 * The int32 accumulators of an int8 convolution: input NHWC, weights OIHW, padding with `zeroPoint`.
 * acc = bias + sum (q_x - zeroPoint) * q_w, without the fold and without the packing that the kernel relies on.
 */
export function conv2dAccumulators(
  input: Int8Array,
  weights: Int8Array,
  bias: Int32Array,
  zeroPoint: number,
  geometry: ConvGeometry,
): Int32Array {
  const { batch, height, width, inChannels, outChannels, kernel, strides, dilations, pads, groups } =
    geometry;
  const [outHeight, outWidth] = convOutput(geometry);
  const perGroup = inChannels / groups;
  const outPerGroup = outChannels / groups;
  const result = new Int32Array(batch * outHeight * outWidth * outChannels);
  let at = 0;
  for (let n = 0; n < batch; n++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ox = 0; ox < outWidth; ox++) {
        for (let o = 0; o < outChannels; o++) {
          const group = Math.floor(o / outPerGroup);
          let sum = bias[o];
          for (let c = 0; c < perGroup; c++) {
            for (let ky = 0; ky < kernel[0]; ky++) {
              const y = oy * strides[0] + ky * dilations[0] - pads[0];
              if (y < 0 || y >= height) continue;
              for (let kx = 0; kx < kernel[1]; kx++) {
                const x = ox * strides[1] + kx * dilations[1] - pads[1];
                if (x < 0 || x >= width) continue;
                const q = input[((n * height + y) * width + x) * inChannels + group * perGroup + c];
                sum += (q - zeroPoint) * weights[((o * perGroup + c) * kernel[0] + ky) * kernel[1] + kx];
              }
            }
          }
          result[at++] = sum;
        }
      }
    }
  }
  return result;
}

/** 2x2, stride 2 maxima of NHWC values; a last odd row or column is dropped. */
export function maxPool2x2<T extends Int32Array | Float32Array>(
  values: T,
  [batch, height, width, channels]: readonly [number, number, number, number],
): T {
  const rows = Math.floor(height / 2);
  const columns = Math.floor(width / 2);
  const pooled = new (values.constructor as new (n: number) => T)(batch * rows * columns * channels);
  let at = 0;
  for (let n = 0; n < batch; n++) {
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        for (let c = 0; c < channels; c++) {
          const corner = (dy: number, dx: number) =>
            values[((n * height + 2 * y + dy) * width + 2 * x + dx) * channels + c];
          pooled[at++] = Math.max(corner(0, 0), corner(0, 1), corner(1, 0), corner(1, 1));
        }
      }
    }
  }
  return pooled;
}
