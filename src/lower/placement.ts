import { check } from '../gpu/errors.ts';
import type { Kernel } from '../gpu/kernel.ts';
import { copyBox } from '../graph/ops/copy-step.ts';
import { stridesOf } from '../graph/ops/layout.ts';
import { sizeOf } from '../graph/ops/tensors.ts';
import type { Value } from '../graph/ops/value.ts';
import { dequantizeLinearKernel } from '../kernels/dequantize-linear.ts';
import { quantizeLinearKernel } from '../kernels/quantize-linear.ts';
import { imageOf } from '../model/images.ts';
import type { ActivationQparams } from '../model/quantized-model.ts';
import { sameAxis } from './channel-axes.ts';
import type { ViewLayer } from './fuse.ts';
import type { Operand, Step } from './lower.ts';

/** How a value lies in a buffer. */
export interface Form {
  /** A word an element, or int8 codes, four a word. */
  kind: 'words' | 'int8';
  /** The dimension that lies innermost, after all others in their order. */
  axis: number;
  /** It is padded with zeros to a multiple of so many elements. */
  lanes: 1 | 4;
}

/** A value in a buffer. */
interface Placed {
  kind: 'words' | 'int8';
  axis: number;
  /** Elements between neighbours along each dimension. */
  strides: readonly number[];
  /** Elements of the buffer, padding included. */
  total: number;
  operand: TensorOperand;
}

export type TensorOperand = Extract<Operand, { tensor: string }>;

/** What a {@link Placement} has to know of a graph. */
export interface Placing {
  values: ReadonlyMap<string, Value>;
  qparams(value: string): ActivationQparams;
  /** A value that nothing has made is taken to be there in the form that is asked for: of a layer by itself. */
  alone?: boolean;
}

/** The physical dimensions of a form: the padded one last. */
function physical(dims: readonly number[], { axis, lanes }: Form): number[] {
  const others = dims.filter((_, i) => i !== axis);
  const channels = dims[axis] ?? 1;
  return [...others, Math.ceil(channels / lanes) * lanes];
}

function stridesIn(dims: readonly number[], form: Form): { strides: number[]; total: number } {
  const sizes = physical(dims, form);
  const own = stridesOf(sizes);
  const others = dims.map((_, i) => i).filter((i) => i !== form.axis);
  const strides = dims.map((_, i) => (i === form.axis ? 1 : own[others.indexOf(i)]));
  return { strides, total: sizeOf(sizes) };
}

/** In the order that a tensor has for everybody else. */
export const plain = (dims: readonly number[]): Form => ({
  kind: 'words',
  axis: Math.max(0, dims.length - 1),
  lanes: 1,
});

/** Where the values of a graph under lowering lie, and the steps that bring them into the form that a reader wants. */
export class Placement {
  readonly steps: Step[] = [];
  private readonly placed = new Map<string, Placed[]>();
  private readonly views = new Map<string, ViewLayer>();

  constructor(private readonly graph: Placing) {}

  dims(value: string): readonly number[] {
    return this.graph.values.get(value)!.dims;
  }

  /** Room for a value that a step will write. */
  define(value: string, form: Form, name = value): TensorOperand {
    const { strides, total } = stridesIn(this.dims(value), form);
    const operand = { tensor: name, byteLength: Math.max(4, form.kind === 'int8' ? total : total * 4) };
    this.add(value, { kind: form.kind, axis: form.axis, strides, total, operand });
    return operand;
  }

  view(layer: ViewLayer): void {
    this.views.set(layer.output, layer);
  }

  /** Whether a value lies anywhere as words. */
  asWords(value: string): boolean {
    return this.all(value).some(({ kind }) => kind === 'words');
  }

  /** Where a value lies in a form, if it does already. */
  find(value: string, form: Form): TensorOperand | null {
    return this.all(value).find((placed) => this.fits(value, placed, form))?.operand ?? null;
  }

  /** A value in a form, by whatever steps that takes. */
  use(value: string, form: Form): TensorOperand {
    const found = this.find(value, form);
    if (found) return found;
    const all = this.all(value);
    if (all.length === 0) {
      const view = this.views.get(value);
      if (view && !(this.graph.alone && !this.known(view.source))) return this.through(view, form);
      check(this.graph.alone, 'a value must be made before it is read', value);
      return this.define(value, form);
    }
    if (form.kind === 'int8') return this.quantize(value, form);
    const words = all.find(({ kind }) => kind === 'words');
    if (words) return this.copy(value, words, form);
    this.dequantize(value, all[0]);
    return this.use(value, form);
  }

  private known(value: string): boolean {
    const view = this.views.get(value);
    return this.all(value).length > 0 || (view !== undefined && this.known(view.source));
  }

  /** A view of a value that lies in no form which the view could share. */
  private through(view: ViewLayer, form: Form): TensorOperand {
    this.use(view.source, plain(this.dims(view.source)));
    return this.use(view.output, form);
  }

  private add(value: string, placed: Placed): void {
    this.placed.set(value, [...(this.placed.get(value) ?? []), placed]);
  }

  /** Every buffer that holds a value, also as what it is a view of. */
  private all(value: string): Placed[] {
    const own = this.placed.get(value) ?? [];
    const view = this.views.get(value);
    if (!view) return own;
    const derived = this.all(view.source).flatMap((placed) => this.viewed(view, placed) ?? []);
    return [...own, ...derived];
  }

  private viewed({ node, source, output }: ViewLayer, placed: Placed): Placed | null {
    const [from, to] = [this.dims(source), this.dims(output)];
    if (node.op === 'Transpose') {
      const perm = (node.attributes.perm as number[] | undefined) ?? from.map((_, i) => from.length - 1 - i);
      return {
        ...placed,
        axis: perm.indexOf(placed.axis),
        strides: perm.map((axis) => placed.strides[axis]),
      };
    }
    if (this.fits(source, placed, { ...plain(from), kind: placed.kind })) {
      const axis = Math.max(0, to.length - 1);
      return { ...placed, axis, strides: stridesOf(to) };
    }
    // Only what lies in the usual order of its form can be counted anew.
    const lanes = placed.total === sizeOf(from) ? 1 : 4;
    const usual = stridesIn(from, { kind: placed.kind, axis: placed.axis, lanes });
    const same = from.every((size, i) => size === 1 || usual.strides[i] === placed.strides[i]);
    const axis = sameAxis(from, placed.axis, to);
    if (!same || axis === undefined) return null;
    const counted = stridesIn(to, { kind: placed.kind, axis, lanes });
    return counted.total === placed.total ? { ...placed, axis, strides: counted.strides } : null;
  }

  private fits(value: string, placed: Placed, form: Form): boolean {
    if (placed.kind !== form.kind) return false;
    const dims = this.dims(value);
    const { strides, total } = stridesIn(dims, form);
    const whole = total === sizeOf(dims) ? placed.total >= total : placed.total === total;
    return whole && dims.every((size, i) => size === 1 || strides[i] === placed.strides[i]);
  }

  private copy(value: string, from: Placed, form: Form): TensorOperand {
    const dims = this.dims(value);
    const { dtype } = this.graph.values.get(value)!;
    const output = this.define(value, form, this.unique(value, form));
    const sizes = physical(dims, form);
    const others = dims.map((_, i) => i).filter((i) => i !== form.axis);
    const inputStrides = [...others, form.axis].map((axis) => from.strides[axis] ?? 1);
    const channels = dims[form.axis] ?? 1;
    const pads = sizes.at(-1)! > channels;
    const windows = pads
      ? [...others.map(() => null), { start: 0, limit: channels, mode: 'constant' as const }]
      : undefined;
    const { kernel, specialization, params, buffers } = copyBox(
      dtype,
      { input: 0 },
      { output: 0 },
      { dims: sizes, inputStrides, windows },
    );
    const operands = Object.fromEntries(
      Object.entries(buffers).map(([name, at]): [string, Operand] => {
        if ('output' in at) return [name, output];
        if ('constant' in at) return [name, { constant: at.constant, label: `${value}: how it is moved` }];
        return [name, from.operand];
      }),
    );
    this.steps.push({ ...this.step(value, form), kernel, specialization, operands, params });
    return output;
  }

  private quantize(value: string, form: Form): TensorOperand {
    const input = this.use(value, { ...form, kind: 'words' });
    const output = this.define(value, form, this.unique(value, form));
    const { scale, zeroPoint } = this.graph.qparams(value);
    this.steps.push({
      ...this.step(value, form),
      kernel: quantizeLinearKernel as unknown as Kernel,
      specialization: {},
      operands: {
        input,
        scale: { constant: Float32Array.of(scale), label: `${value}: scale` },
        zeroPoint: { constant: Int32Array.of(zeroPoint), label: `${value}: zero point` },
        output,
      },
      params: { count: output.byteLength, axisSize: 1, axisStride: Math.max(1, output.byteLength) },
    });
    return output;
  }

  private dequantize(value: string, from: Placed): void {
    const form: Form = { kind: 'words', axis: from.axis, lanes: 4 };
    // What lies in another order, as of a view, keeps it.
    const operand = { tensor: this.unique(value, form), byteLength: from.total * 4 };
    this.add(value, { ...from, kind: 'words', operand });
    const { scale, zeroPoint } = this.graph.qparams(value);
    this.steps.push({
      ...this.step(value, form),
      kernel: dequantizeLinearKernel as unknown as Kernel,
      specialization: {},
      operands: {
        input: from.operand,
        scale: { constant: Float32Array.of(scale), label: `${value}: scale` },
        zeroPoint: { constant: Int32Array.of(zeroPoint), label: `${value}: zero point` },
        output: operand,
      },
      params: { count: from.total, axisSize: 1, axisStride: Math.max(1, from.total) },
    });
  }

  private step(value: string, form: Form) {
    const dims = this.dims(value);
    return { name: value, macs: 0, shape: imageOf(dims, Math.min(form.axis, Math.max(0, dims.length - 1))) };
  }

  private unique(value: string, { kind, axis, lanes }: Form): string {
    return `${value} as ${kind}${axis}${lanes === 4 ? ' in fours' : ''} ${this.steps.length}`;
  }
}
