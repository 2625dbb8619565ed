/** The int32 accumulators of ONNX ConvInteger by its definition, with an optional bias. */

export interface ConvGeometry {
  /** n, channels, depth, height, width; fewer spatial dimensions are padded in front with ones. */
  input: readonly number[];
  /** m, channels / groups, depth, height, width. */
  weights: readonly number[];
  output: readonly number[];
  groups: number;
  strides: readonly number[];
  dilations: readonly number[];
  /** The padding before each spatial dimension. */
  pads: readonly number[];
}

/** Zero points and bias hold one value or one an output channel. */
export function convIntegerReference(
  input: ArrayLike<number>,
  weights: ArrayLike<number>,
  {
    inputZero,
    weightZeros,
    bias,
  }: { inputZero: number; weightZeros: ArrayLike<number>; bias: ArrayLike<number> },
  geometry: ConvGeometry,
): Int32Array {
  const [, channels, inputDepth, inputHeight, inputWidth] = geometry.input;
  const [outputChannels, groupChannels, kernelDepth, kernelHeight, kernelWidth] = geometry.weights;
  const [batch, , outputDepth, outputHeight, outputWidth] = geometry.output;
  const { strides, dilations, pads } = geometry;
  const accumulators = new Int32Array(batch * outputChannels * outputDepth * outputHeight * outputWidth);
  let index = 0;
  for (let n = 0; n < batch; n++)
    for (let m = 0; m < outputChannels; m++) {
      const group = Math.floor(m / (outputChannels / geometry.groups));
      const weightZero = weightZeros[weightZeros.length > 1 ? m : 0];
      for (let oz = 0; oz < outputDepth; oz++)
        for (let oy = 0; oy < outputHeight; oy++)
          for (let ox = 0; ox < outputWidth; ox++) {
            let sum = bias[bias.length > 1 ? m : 0];
            for (let c = 0; c < groupChannels; c++)
              for (let kz = 0; kz < kernelDepth; kz++)
                for (let ky = 0; ky < kernelHeight; ky++)
                  for (let kx = 0; kx < kernelWidth; kx++) {
                    const z = oz * strides[0] + kz * dilations[0] - pads[0];
                    const y = oy * strides[1] + ky * dilations[1] - pads[1];
                    const x = ox * strides[2] + kx * dilations[2] - pads[2];
                    if (z < 0 || z >= inputDepth || y < 0 || y >= inputHeight || x < 0 || x >= inputWidth)
                      continue;
                    const channel = n * channels + group * groupChannels + c;
                    const pixel = input[((channel * inputDepth + z) * inputHeight + y) * inputWidth + x];
                    const tap =
                      (((m * groupChannels + c) * kernelDepth + kz) * kernelHeight + ky) * kernelWidth + kx;
                    sum = (sum + (pixel - inputZero) * (weights[tap] - weightZero)) | 0;
                  }
            accumulators[index++] = sum;
          }
    }
  return accumulators;
}
