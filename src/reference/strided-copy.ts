import type { TwinBuffers, TwinParams, TwinSpecialization } from './twin.ts';

/** Where a windowed axis reads, or -1 for the fill. */
function position(start: number, limit: number, mode: number, coordinate: number, indices: Float64Array) {
  let at = start + coordinate;
  if (mode === 5) at = indices[at] < 0 ? indices[at] + limit : indices[at];
  if (limit === 0) return -1;
  if (at >= 0 && at < limit) return at;
  const modulo = (period: number) => ((at % period) + period) % period;
  switch (mode) {
    case 2: {
      if (limit === 1) return 0;
      const turned = modulo(2 * (limit - 1));
      return turned < limit ? turned : 2 * (limit - 1) - turned;
    }
    case 3:
      return at < 0 ? 0 : limit - 1;
    case 4:
      return modulo(limit);
    default:
      return -1;
  }
}

/**
 * CPU twin of shaders/strided-copy.wgsl.
 *
 * @example
 * // A 2 x 3 matrix transposed: the output's inner axis runs along the input's rows.
 * const axes = Float64Array.of(2, 3, 1, 0, 3, 1, 2, 0);
 * stridedCopyReference(
 *   { input, indices: input, axes, windows: axes, fill: input, output: new Float64Array(6) },
 *   { count: 6, rank: 2, inputOffset: 0, outputOffset: 0 },
 *   { WINDOWED: 0 },
 * );
 */
export function stridedCopyReference(
  { input, indices, axes, windows, fill, output }: TwinBuffers,
  { count, rank, inputOffset, outputOffset }: TwinParams,
  { WINDOWED = 0 }: TwinSpecialization,
): void {
  for (let index = 0; index < count; index++) {
    let rest = index;
    let from = inputOffset;
    let to = outputOffset;
    let filled = false;
    for (let d = 0; d < rank; d++) {
      const [size, inputStride, outputStride] = axes.subarray(d * 4, d * 4 + 3);
      let coordinate = d + 1 < rank ? rest % size : rest;
      rest = Math.floor(rest / size);
      to += coordinate * outputStride;
      if (WINDOWED === 1) {
        const [start, limit, mode] = windows.subarray(d * 4, d * 4 + 3);
        coordinate = position(start, limit, mode, coordinate, indices);
        if (coordinate < 0) filled = true;
      }
      from += coordinate * inputStride;
    }
    output[to] = filled ? fill[0] : input[from];
  }
}
