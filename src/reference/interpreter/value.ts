import { roundHalfEven } from '../requantize.ts';

/** A tensor of the interpreter: whatever its dtype, its elements are float64, row-major. */
export interface Value {
  dtype: string;
  dims: readonly number[];
  data: Float64Array;
}

/** A tensor as it is given: `float16` as its bits. */
export interface GivenTensor {
  dtype: string;
  dims: readonly number[];
  data: ArrayLike<number> | ArrayLike<bigint>;
}

export const isFloat = (dtype: string) => dtype.startsWith('float');
export const sizeOf = (dims: readonly number[]) => dims.reduce((product, size) => product * size, 1);
export { roundHalfEven };

/** Indices along each dimension of the element at a place in row-major order. */
export function coordinatesOf(place: number, dims: readonly number[]): number[] {
  const coordinates = dims.map(() => 0);
  let rest = place;
  for (let i = dims.length - 1; i >= 0; i--) {
    coordinates[i] = rest % dims[i];
    rest = Math.floor(rest / dims[i]);
  }
  return coordinates;
}

/** The place in row-major order. */
export const placeOf = (coordinates: readonly number[], dims: readonly number[]) =>
  coordinates.reduce((place, at, i) => place * dims[i] + at, 0);

export const elementAt = ({ data, dims }: Value, coordinates: readonly number[]) =>
  data[placeOf(coordinates, dims)];

/** An element of what `value` broadcasts to, its dimensions counted from the last. */
export function broadcastAt(value: Value, coordinates: readonly number[]): number {
  const own = coordinates.slice(coordinates.length - value.dims.length);
  return elementAt(
    value,
    own.map((at, i) => (value.dims[i] === 1 ? 0 : at)),
  );
}

/** numpy's broadcast of shapes. */
export function broadcastDims(shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(0, ...shapes.map((dims) => dims.length));
  return Array.from({ length: rank }, (_, i) => {
    const sizes = shapes.map((dims) => dims[i - rank + dims.length] ?? 1);
    const size = sizes.find((each) => each !== 1) ?? 1;
    if (sizes.some((each) => each !== 1 && each !== size)) throw new Error(`no broadcast of ${sizes}`);
    return size;
  });
}

/** A number as an element of a dtype: integers wrap, 64-bit ones at 32 bits; floats stay in float64. */
export function stored(dtype: string, x: number): number {
  switch (dtype) {
    case 'bool':
      return x === 0 ? 0 : 1;
    case 'int64':
    case 'int32':
      return x | 0;
    case 'uint32':
      return x >>> 0;
    default: {
      const match = /^(u?)int(\d+)$/.exec(dtype);
      if (!match) return x;
      const span = 2 ** Number(match[2]);
      const low = (((x | 0) % span) + span) % span;
      return match[1] === '' && low >= span / 2 ? low - span : low;
    }
  }
}

/** A tensor by a function of each element's coordinates. */
export function make(
  dtype: string,
  dims: readonly number[],
  element: (coordinates: number[], place: number) => number,
): Value {
  const data = new Float64Array(sizeOf(dims));
  for (let i = 0; i < data.length; i++) data[i] = stored(dtype, element(coordinatesOf(i, dims), i));
  return { dtype, dims: [...dims], data };
}

/** A list of integers, or one. */
export const integers = (list: readonly number[], dims: readonly number[] = [list.length]): Value => ({
  dtype: 'int64',
  dims,
  data: Float64Array.from(list),
});

export function halfToNumber(bits: number): number {
  const sign = bits >> 15 ? -1 : 1;
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent ? sign * (1024 + fraction) * 2 ** (exponent - 25) : sign * fraction * 2 ** -24;
}

/** The nearest float16, ties to even. */
export function roundToHalf(x: number): number {
  if (!Number.isFinite(x) || x === 0) return x;
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.abs(x))));
  const unit = 2 ** (exponent - 10);
  const rounded = roundHalfEven(x / unit) * unit;
  return Math.abs(rounded) > 65504 ? Math.sign(x) * Number.POSITIVE_INFINITY : rounded;
}

export const readTensor = ({ dtype, dims, data }: GivenTensor): Value => ({
  dtype,
  dims: [...dims],
  data: Float64Array.from(data as ArrayLike<number>, dtype === 'float16' ? halfToNumber : Number),
});

/** Integer products whose low 32 bits count. */
export const times = (dtype: string, a: number, b: number) => (isFloat(dtype) ? a * b : Math.imul(a, b));
