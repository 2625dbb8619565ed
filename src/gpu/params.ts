/**
 * Several params of type u32, in the order of the shader's struct.
 *
 * @example
 * const params = { ...u32s('inputHeight', 'inputWidth'), ...WINDOW, low: 'f32', high: 'f32' } as const;
 */
export function u32s<const N extends string>(...names: readonly N[]): Readonly<Record<N, 'u32'>> {
  return Object.fromEntries(names.map((name) => [name, 'u32'])) as Record<N, 'u32'>;
}

const STRIDES = u32s('kernelHeight', 'kernelWidth', 'strideHeight', 'strideWidth');
const PADS = u32s('padTop', 'padLeft');

/** The window of a pool's gradient, in the order of its struct. */
export const UNDILATED_WINDOW = { ...STRIDES, ...PADS } as const;

/** The window of a convolution or a pool over an image, in the order of their structs. */
export const WINDOW = { ...STRIDES, ...u32s('dilationHeight', 'dilationWidth'), ...PADS } as const;

/**
 * Params of type u32 along each axis of space, depth first: `kernelDepth`, `kernelHeight`, `kernelWidth`.
 *
 * @example
 * const params = { ...u32s('count'), ...spatial('input', 'output', 'kernel') };
 */
export function spatial<const N extends string>(
  ...names: readonly N[]
): Readonly<Record<`${N}${'Depth' | 'Height' | 'Width'}`, 'u32'>> {
  const axes = ['Depth', 'Height', 'Width'] as const;
  return u32s(...names.flatMap((name) => axes.map((axis) => `${name}${axis}` as const)));
}
