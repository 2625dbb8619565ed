import { check } from './errors.ts';

const LIMIT = 2 ** 31;

/** One axis of a window: how far it reaches over the image, which begins at 0. */
export interface WindowAxis {
  /** Windows along the axis, cells of one, and how far apart they are. */
  output: number;
  kernel: number;
  stride: number;
  dilation: number;
  /** Padding before the image. */
  before: number;
  /** Where the image ends, or the padding after it where a kernel reads that too. */
  end: number;
}

/**
 * Refuses a window with a cell whose coordinate leaves int32, in which the shaders compute them: it would wrap into the
 * image. Sums on the way may wrap, as they do so modulo 2^32.
 *
 * @throws LloydError naming `what`, with the coordinates it asks for
 * @example
 * checkCoordinates('conv: height', { output: 4, kernel: 3, stride: 2, dilation: 1, before: 1, end: 8 });
 */
export function checkCoordinates(what: string, axis: WindowAxis): void {
  const { output, kernel, stride, dilation, before, end } = axis;
  const last = Math.max(end, (output - 1) * stride + (kernel - 1) * dilation - before);
  refuseOutside(what, -before, last);
}

function refuseOutside(what: string, first: number, last: number): void {
  check(
    first >= -LIMIT && last < LIMIT,
    `${what} must have coordinates from -${LIMIT} to ${LIMIT - 1}, padding included: they are computed in int32`,
    `${first} to ${last}`,
    'make pads, strides or dilations smaller',
  );
}

type Params = Readonly<Record<string, number>>;

/** The axes that a pooling or convolution kernel's parameters are about, by name. */
function axesOf(params: Params): [string, WindowAxis & { size: number }][] {
  const axes = [
    ['Depth', 'padDepth', ''],
    ['Height', params.padTop === undefined ? 'padHeight' : 'padTop', 'padBottom'],
    ['Width', params.padLeft === undefined ? 'padWidth' : 'padLeft', 'padRight'],
  ];
  return axes
    .filter(([axis]) => `stride${axis}` in params)
    .map(([axis, before, after]) => {
      const size = params[`input${axis}`] ?? params[axis.toLowerCase()];
      return [
        axis.toLowerCase(),
        {
          size,
          output: params[`output${axis}`],
          kernel: params[`kernel${axis}`],
          stride: params[`stride${axis}`],
          dilation: params[`dilation${axis}`] ?? 1,
          before: params[before],
          end: size + (params[after] ?? 0),
        },
      ];
    });
}

/** What a kernel that reads windows refuses; see {@link checkCoordinates}. */
export function checkWindow(name: string, params: Params): void {
  const { pool = 0 } = params;
  check(pool === 0 || pool === 1, `${name}: pool must be 0, or 1 for the maximum of each 2x2 window`, pool);
  for (const [axis, own] of axesOf(params)) checkCoordinates(`${name}: the window's ${axis}`, own);
}

/** What the gradient of such a kernel refuses besides: it counts coordinates from where the padding begins. */
export function checkWindowGradient(name: string, params: Params): void {
  checkWindow(name, params);
  for (const [axis, { size, before, kernel, dilation }] of axesOf(params)) {
    const reach = (kernel - 1) * dilation;
    refuseOutside(`${name}: the window's ${axis}`, -reach, Math.max(reach, size + before));
  }
}

/** What a transposed convolution refuses: it goes from an output pixel back to the inputs that reach it. */
export function checkTransposedWindow(name: string, params: Params): void {
  for (const [axis, { output, before, kernel, dilation }] of axesOf(params)) {
    refuseOutside(`${name}: the window's ${axis}`, before - (kernel - 1) * dilation, output + before);
  }
}
