// Convolutions and pools: https://onnx.ai/onnx/operators/.
import type { Call, Definition } from './call.ts';
import { coordinatesOf, placeOf, sizeOf, type Value } from './value.ts';

interface Windows {
  size: readonly number[];
  kernel: readonly number[];
  strides: readonly number[];
  dilations: readonly number[];
  before: readonly number[];
  after: readonly number[];
  output: readonly number[];
}

function windowsOf(call: Call, size: readonly number[], kernel: readonly number[]): Windows {
  const strides = call.list('strides') ?? kernel.map(() => 1);
  const dilations = call.list('dilations') ?? kernel.map(() => 1);
  const auto = call.text('auto_pad', 'NOTSET');
  const ceil = call.integer('ceil_mode', 0) === 1;
  const extents = kernel.map((taps, i) => (taps - 1) * dilations[i] + 1);
  if (auto.startsWith('SAME')) {
    const output = size.map((length, i) => Math.ceil(length / strides[i]));
    const total = size.map((length, i) => Math.max(0, (output[i] - 1) * strides[i] + extents[i] - length));
    // Of an odd number the one more lies at the end, with SAME_LOWER at the beginning.
    const [less, more] = [
      total.map((pads) => Math.floor(pads / 2)),
      total.map((pads) => Math.ceil(pads / 2)),
    ];
    const [before, after] = auto === 'SAME_UPPER' ? [less, more] : [more, less];
    return { size, kernel, strides, dilations, before, after, output };
  }
  const pads = (auto === 'VALID' ? null : call.list('pads')) ?? [...kernel, ...kernel].map(() => 0);
  const [before, after] = [pads.slice(0, kernel.length), pads.slice(kernel.length)];
  const output = size.map((length, i) => {
    const steps = (length + before[i] + after[i] - extents[i]) / strides[i];
    if (!ceil || auto === 'VALID') return Math.floor(steps) + 1;
    const count = Math.ceil(steps) + 1;
    // A window that would begin in the padding at the end is left out.
    return (count - 1) * strides[i] >= length + before[i] ? count - 1 : count;
  });
  return { size, kernel, strides, dilations, before, after, output };
}

interface Tap {
  /** Its place in the kernel. */
  tap: number;
  /** What it meets along each dimension, from the beginning of the input. */
  at: number[];
}

/** Every tap of the window at a place of the output. */
function tapsAt({ kernel, strides, dilations, before }: Windows, place: readonly number[]): Tap[] {
  return Array.from({ length: sizeOf(kernel) }, (_, tap) => ({
    tap,
    at: coordinatesOf(tap, kernel).map((k, i) => place[i] * strides[i] + k * dilations[i] - before[i]),
  }));
}

const isInside = (at: readonly number[], size: readonly number[]) =>
  at.every((place, i) => place >= 0 && place < size[i]);

const conv: Definition = (call) => {
  const [x, w, bias] = [call.input(0), call.input(1), call.optional(2)];
  const group = call.integer('group', 1);
  const [batch, channels, ...size] = x.dims;
  const [outputs, perGroup, ...kernel] = w.dims;
  const windows = windowsOf(call, size, kernel);
  const [pixels, places, taps] = [size, windows.output, kernel].map(sizeOf);
  const data = new Float64Array(batch * outputs * places);
  for (let place = 0; place < places; place++) {
    const met = tapsAt(windows, coordinatesOf(place, windows.output))
      .filter(({ at }) => isInside(at, size))
      .map(({ tap, at }) => ({ tap, from: placeOf(at, size) }));
    for (let n = 0; n < batch; n++) {
      for (let o = 0; o < outputs; o++) {
        const first = Math.floor(o / (outputs / group)) * perGroup;
        let sum = bias?.data[o] ?? 0;
        for (let c = 0; c < perGroup; c++) {
          for (const { tap, from } of met) {
            sum +=
              w.data[(o * perGroup + c) * taps + tap] * x.data[(n * channels + first + c) * pixels + from];
          }
        }
        data[(n * outputs + o) * places + place] = sum;
      }
    }
  }
  return [{ dtype: x.dtype, dims: [batch, outputs, ...windows.output], data }];
};

/** Each element of the input adds the kernel to the output, `strides` further on for each. */
const convTranspose: Definition = (call) => {
  const [x, w, bias] = [call.input(0), call.input(1), call.optional(2)];
  const group = call.integer('group', 1);
  const [batch, channels, ...size] = x.dims;
  const [, perGroup, ...kernel] = w.dims;
  const strides = call.list('strides') ?? kernel.map(() => 1);
  const dilations = call.list('dilations') ?? kernel.map(() => 1);
  const added = call.list('output_padding') ?? kernel.map(() => 0);
  const auto = call.text('auto_pad', 'NOTSET');
  const same = auto.startsWith('SAME');
  const asked = call.list('output_shape') ?? (same ? size.map((length, i) => length * strides[i]) : null);
  const full = size.map(
    (length, i) => strides[i] * (length - 1) + added[i] + (kernel[i] - 1) * dilations[i] + 1,
  );
  const pads = (auto === 'VALID' ? null : call.list('pads')) ?? [...kernel, ...kernel].map(() => 0);
  const before = full.map((length, i) => {
    if (!asked) return pads[i];
    const total = Math.max(0, length - asked[i]);
    return auto === 'SAME_UPPER' ? Math.floor(total / 2) : Math.ceil(total / 2);
  });
  const output = asked ?? full.map((length, i) => length - pads[i] - pads[i + size.length]);
  const outputs = perGroup * group;
  const [pixels, places, taps] = [size, output, kernel].map(sizeOf);
  const data = new Float64Array(batch * outputs * places);
  for (let i = 0; i < data.length; i++) data[i] = bias?.data[Math.floor(i / places) % outputs] ?? 0;
  for (let pixel = 0; pixel < pixels; pixel++) {
    const place = coordinatesOf(pixel, size);
    const windows: Windows = { size, kernel, strides, dilations, before, after: before, output };
    for (const { tap, at } of tapsAt(windows, place)) {
      if (!isInside(at, output)) continue;
      const to = placeOf(at, output);
      for (let n = 0; n < batch; n++) {
        for (let c = 0; c < channels; c++) {
          const first = Math.floor(c / (channels / group)) * perGroup;
          for (let o = 0; o < perGroup; o++) {
            data[(n * outputs + first + o) * places + to] +=
              x.data[(n * channels + c) * pixels + pixel] * w.data[(c * perGroup + o) * taps + tap];
          }
        }
      }
    }
  }
  return [{ dtype: x.dtype, dims: [batch, outputs, ...output], data }];
};

/** A pool's windows over each channel: `take` has what lies inside, and how many taps meet input or padding. */
function pooled(
  call: Call,
  take: (met: { value: number; from: number }[], counted: number, plane: number) => number,
  dtype?: string,
): Value {
  const x = call.input(0);
  const [batch, channels, ...size] = x.dims;
  const windows = windowsOf(call, size, call.list('kernel_shape')!);
  const { before, after, output } = windows;
  const [pixels, places] = [sizeOf(size), sizeOf(output)];
  const data = new Float64Array(batch * channels * places);
  for (let place = 0; place < places; place++) {
    const taps = tapsAt(windows, coordinatesOf(place, output));
    const counted = taps.filter(({ at }) =>
      at.every((own, i) => own >= -before[i] && own < size[i] + after[i]),
    );
    const inside = taps.filter(({ at }) => isInside(at, size)).map(({ at }) => placeOf(at, size));
    for (let plane = 0; plane < batch * channels; plane++) {
      const met = inside.map((from) => ({ value: x.data[plane * pixels + from], from }));
      data[plane * places + place] = take(met, counted.length, plane);
    }
  }
  return { dtype: dtype ?? x.dtype, dims: [batch, channels, ...output], data };
}

/** The largest, and from where: in the whole tensor, each plane row-major or, by storage_order, column-major. */
const maxPool: Definition = (call) => {
  const largest = (met: { value: number; from: number }[]) =>
    met.reduce((best, each) => (each.value > best.value || Number.isNaN(each.value) ? each : best));
  const size = call.input(0).dims.slice(2);
  const columns = call.integer('storage_order', 0) === 1;
  const stored = (from: number) =>
    columns ? placeOf(coordinatesOf(from, size).reverse(), [...size].reverse()) : from;
  return [
    pooled(call, (met) => largest(met).value),
    pooled(call, (met, _, plane) => plane * sizeOf(size) + stored(largest(met).from), 'int64'),
  ];
};

const averagePool: Definition = (call) => {
  const countPads = call.integer('count_include_pad', 0) === 1;
  return [
    pooled(
      call,
      (met, counted) => met.reduce((sum, { value }) => sum + value, 0) / (countPads ? counted : met.length),
    ),
  ];
};

const lpPool: Definition = (call) => {
  const p = call.integer('p', 2);
  return [pooled(call, (met) => met.reduce((sum, { value }) => sum + Math.abs(value) ** p, 0) ** (1 / p))];
};

export const windowed: Readonly<Record<string, Definition>> = {
  Conv: conv,
  ConvTranspose: convTranspose,
  MaxPool: maxPool,
  AveragePool: averagePool,
  LpPool: lpPool,
};
