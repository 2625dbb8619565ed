import type { Attributes } from '../../src/graph/ops/tensors.ts';
import { fromWords } from '../../src/graph/ops/value.ts';
import { sizeOf } from '../../src/reference/interpreter/value.ts';
import { broadcasts, type Drawing, type Drawn, type Template } from './drawing.ts';

/** Windows that fit into an image. */
function windows(d: Drawing, size: readonly number[], most = 3) {
  const kernel = size.map((length) => d.random.integer(1, Math.min(most, length + 1)));
  const attributes: Attributes = {};
  const dilations = kernel.map((taps, i) => ((taps - 1) * 2 + 1 <= size[i] && d.chance(0.2) ? 2 : 1));
  const how = d.random.pick(['same', 'pads', 'pads', 'SAME_UPPER', 'SAME_LOWER', 'VALID', 'none']);
  const extents = kernel.map((taps, i) => (taps - 1) * dilations[i] + 1);
  if (how === 'same')
    attributes.pads = [
      ...extents.map((e) => Math.floor((e - 1) / 2)),
      ...extents.map((e) => Math.ceil((e - 1) / 2)),
    ];
  if (how === 'pads') attributes.pads = [...kernel, ...kernel].map((taps) => d.random.integer(0, taps - 1));
  if (how.startsWith('SAME') || how === 'VALID') attributes.auto_pad = how;
  const pads = (attributes.pads as number[] | undefined) ?? [...kernel, ...kernel].map(() => 0);
  const fits =
    how.startsWith('SAME') ||
    size.every((length, i) => length + pads[i] + pads[i + size.length] >= extents[i]);
  if (d.chance(0.5)) attributes.strides = kernel.map(() => d.random.integer(1, 2));
  return { kernel, dilations, attributes, fits };
}

const image = (d: Drawing) => d.float(3, 5, (dims) => !dims.includes(0));

const conv: Template = (d) => {
  const x = image(d);
  if (!x) return null;
  const [, channels, ...size] = x.exact.dims;
  const { kernel, dilations, attributes, fits } = windows(d, size);
  if (!fits) return null;
  const group = d.random.pick([1, 1, 1, channels, 2].filter((count) => channels % count === 0));
  const outputs = group * d.random.integer(1, group > 2 ? 2 : 5);
  const weight = d.floats(
    [outputs, channels / group, ...kernel],
    1 / Math.sqrt((channels / group) * sizeOf(kernel)),
  );
  if (dilations.some((step) => step > 1)) attributes.dilations = dilations;
  if (group > 1 || d.chance(0.3)) attributes.group = group;
  if (d.chance(0.3)) attributes.kernel_shape = kernel;
  const made = d.add('Conv', [x.name, weight, ...(d.chance(0.5) ? [d.floats([outputs])] : [])], attributes);
  // What usually follows it.
  if (made && d.chance(0.4)) norm(d, made);
  return made;
};

const convTranspose: Template = (d) => {
  const x = image(d);
  if (!x) return null;
  const [, channels, ...size] = x.exact.dims;
  const kernel = size.map(() => d.random.integer(1, 3));
  const strides = kernel.map((taps) => d.random.integer(1, Math.max(1, taps - 1)));
  const group = d.random.pick([1, 1, channels]);
  const perGroup = d.random.integer(1, 3);
  const weight = d.floats([channels, perGroup, ...kernel], 1 / Math.sqrt(channels));
  return d.add('ConvTranspose', [x.name, weight], {
    strides,
    group,
    ...(d.chance(0.3) && { auto_pad: 'SAME_UPPER' }),
  });
};

const pool: Template = (d) => {
  const x = image(d);
  if (!x) return null;
  const { kernel, dilations, attributes, fits } = windows(d, x.exact.dims.slice(2));
  const max = d.chance(0.5);
  const halving = d.chance(0.3) && x.exact.dims.length === 4;
  if (halving && x.exact.dims.slice(2).every((size) => size >= 2)) {
    return d.add('MaxPool', [x.name], { kernel_shape: [2, 2], strides: [2, 2] });
  }
  if (!fits) return null;
  if (attributes.auto_pad === undefined && d.opset >= 10 && d.chance(0.3)) attributes.ceil_mode = 1;
  if (attributes.pads && (attributes.pads as number[]).some((pad, i) => pad >= kernel[i % kernel.length]))
    return null;
  if (d.opset >= (max ? 10 : 19) && dilations.some((step) => step > 1)) attributes.dilations = dilations;
  if (!max && d.chance(0.4)) attributes.count_include_pad = 1;
  // A window that holds padding alone has no average.
  return d.add(
    max ? 'MaxPool' : 'AveragePool',
    [x.name],
    { ...attributes, kernel_shape: kernel },
    max && d.chance(0.15) ? 2 : 1,
  );
};

const globalPool: Template = (d) => {
  const x = image(d);
  return x && d.add(d.random.pick(['GlobalAveragePool', 'GlobalMaxPool']), [x.name]);
};

function norm(d: Drawing, given?: Drawn): unknown {
  const x = given ?? d.float(2, 5, (dims) => !dims.includes(0));
  if (!x) return null;
  const channels = x.exact.dims[1];
  const variance = d.random.floats(channels).map((value) => 0.3 + Math.abs(value));
  const positive = fromWords(d.floating, [channels], variance);
  const vectors = Array.from({ length: 3 }, () => d.floats([channels]));
  return d.add(
    'BatchNormalization',
    [x.name, ...vectors, d.constant(positive)],
    d.chance(0.5) ? {} : { epsilon: 0.01 },
  );
}

const otherNorms: Template = (d) => {
  const x = d.float(2, 5, (dims) => !dims.includes(0));
  if (!x) return null;
  const { dims } = x.exact;
  const op = d.random.pick([
    'InstanceNormalization',
    'GroupNormalization',
    'LayerNormalization',
    'LayerNormalization',
  ]);
  if (op === 'LayerNormalization') {
    if (d.opset < 17) return null;
    const axis = d.random.integer(-dims.length, dims.length - 1);
    const inner = dims.slice(axis < 0 ? axis + dims.length : axis);
    return d.add(op, [x.name, d.floats(inner), ...(d.chance(0.5) ? [d.floats(inner)] : [])], { axis });
  }
  if (dims.length < 3) return null;
  if (op === 'InstanceNormalization') return d.add(op, [x.name, d.floats([dims[1]]), d.floats([dims[1]])]);
  const groups = d.random.pick([1, 2, 3, dims[1]].filter((count) => dims[1] % count === 0));
  const count = d.opset < 21 ? groups : dims[1];
  return d.opset < 18
    ? null
    : d.add(op, [x.name, d.floats([count]), d.floats([count])], { num_groups: groups });
};

const matMul: Template = (d) => {
  const x = d.float(1, 4, (dims) => !dims.includes(0));
  if (!x) return null;
  const k = x.exact.dims.at(-1)!;
  const n = d.random.pick(d.sizes);
  const c = d.floats(d.random.pick([[k, n], [k, n], [k, n], [2, k, n], [k]]), 1 / Math.sqrt(k));
  if (d.chance(0.8)) {
    const made = d.add('MatMul', [x.name, c]);
    return made && d.chance(0.4) && d.add('Add', [made.name, d.floats([made.exact.dims.at(-1) ?? 1])]);
  }
  const m = x.exact.dims.length > 1 ? x.exact.dims.at(-2)! : k;
  return d.add('MatMul', [d.floats([n, m], 1 / Math.sqrt(m)), x.name]);
};

const product: Template = (d) => {
  const a = d.float(2, 4, (dims) => !dims.includes(0));
  const b =
    a &&
    d.float(
      2,
      4,
      (dims) =>
        dims.at(-2) === a.exact.dims.at(-1) && broadcasts(dims.slice(0, -2), a.exact.dims.slice(0, -2)),
    );
  if (!a) return null;
  if (b) return d.add('MatMul', [a.name, b.name]);
  const rank = a.exact.dims.length;
  const perm = [...Array.from({ length: rank - 2 }, (_, i) => i), rank - 1, rank - 2];
  const turned = d.add('Transpose', [a.name], { perm });
  return turned && d.add('MatMul', d.chance(0.5) ? [a.name, turned.name] : [turned.name, a.name]);
};

/** An image as a row. */
const rows: Template = (d) => {
  const x = d.float(1);
  return x && d.add('Flatten', [x.name], { axis: 1 });
};

const gemm: Template = (d) => {
  const x = d.float(2, 2, (dims) => !dims.includes(0));
  if (!x) return rows(d);
  const transA = d.chance(0.2) ? 1 : 0;
  const [m, k] = transA ? [...x.exact.dims].reverse() : x.exact.dims;
  const n = d.random.pick(d.sizes);
  const transB = d.random.integer(0, 1);
  const attributes: Attributes = { transB, ...(transA && { transA }) };
  if (d.chance(0.3)) attributes.alpha = 0.5;
  if (d.chance(0.3)) attributes.beta = -2;
  const c = d.random.pick([[n], [n], [1, n], [m, n], [1], [], [m, 1]]);
  const weight = d.floats(transB ? [n, k] : [k, n], 1 / Math.sqrt(k));
  return d.add('Gemm', [x.name, weight, ...(d.opset < 11 || d.chance(0.7) ? [d.floats(c)] : [])], attributes);
};

const likeTensorFlow: Template = (d) => {
  const x = d.float(4, 4, (dims) => !dims.includes(0));
  const before = x && d.add('Transpose', [x.name], { perm: [0, 3, 1, 2] });
  if (!before) return null;
  const [, channels, ...size] = before.exact.dims;
  const kernel = size.map((length) => Math.min(3, length));
  const outputs = d.random.pick([1, 2, 4, 5]);
  const made = d.add('Conv', [before.name, d.floats([outputs, channels, ...kernel], 0.3)], {
    auto_pad: 'SAME_UPPER',
  });
  const back = made && d.add('Transpose', [made.name], { perm: [0, 2, 3, 1] });
  return back && d.add('Add', [back.name, d.floats([outputs])]);
};

/** Layers with weights, pools and norms. */
export const layerTemplates: readonly Template[] = [
  ...[conv, conv, conv, convTranspose, pool, pool, globalPool, norm, norm, otherNorms],
  ...[matMul, matMul, product, gemm, gemm, likeTensorFlow, likeTensorFlow],
];
