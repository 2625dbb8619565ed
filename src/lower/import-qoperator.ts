import { LloydError } from '../gpu/errors.ts';
import { VIEWS } from '../graph/concrete.ts';
import type { GraphModel, Node } from '../graph/graph.ts';
import { Names } from '../graph/names.ts';
import { type Attributes, type OnnxTensor, sizeOf } from '../graph/ops/tensors.ts';
import { isQuantized, type QuantizedModel } from '../model/quantized-model.ts';
import { fuseAnyShape } from './fuse.ts';
import { importQdq } from './import-qdq.ts';
import { integerLayers } from './lower-model.ts';

/** Scale and zero point of codes, by name; a zero point that is left out is null. */
interface Grid {
  scale: string;
  zeroPoint: string | null;
}

/** The oldest opset with per-channel DequantizeLinear. */
export const PER_CHANNEL = 13;
/** What has the same meaning on codes as on the values that they stand for, in one grid. */
export const PASSING: readonly string[] = ['MaxPool', ...VIEWS];

/**
 * A network of operators on codes (QLinearConv, QGemm, ...) as the one between DequantizeLinear and QuantizeLinear that
 * it stands for: the way back from `qoperator` to `qdq`.
 *
 * @param model of opset 13 at least
 * @returns the model itself where there is nothing of the kind
 * @throws LloydError for operators on codes that have no such form (all of them, by name)
 */
export function dequantized(model: GraphModel): GraphModel {
  return hasCodeOperators(model) ? new Dequantized(model).result() : model;
}

export const hasCodeOperators = ({ graph }: GraphModel): boolean => graph.nodes.some(({ op }) => onCodes(op));
const onCodes = (op: string) => /^(QLinear|QGemm$|ConvInteger$|MatMulInteger|DynamicQuantize)/.test(op);

/** Operators whose integer layers give ONNX Runtime's codes. */
const EXACT = ['QLinearConv', 'QLinearMatMul', 'QGemm', 'QLinearAdd', 'QLinearConcat'];
/** Those whose layers may fall to the other side of a tie, by the place of their output's scale. */
const ALONE: Readonly<Record<string, number>> = {
  QLinearGlobalAveragePool: 3,
  QLinearAveragePool: 3,
  QLinearSigmoid: 3,
  QLinearLeakyRelu: 3,
  QLinearMul: 6,
};

/**
 * A network as it runs in integers: {@link importQdq} of what lies between quantizers, and of operators on codes where
 * that gives ONNX Runtime's codes. Where it doesn't, each of them runs by itself.
 */
export function importIntegers(model: GraphModel): GraphModel | QuantizedModel {
  const { nodes, opset } = model.graph;
  const exact = new Set(nodes.filter(({ op }) => EXACT.includes(op)).map(({ name }) => name));
  if (exact.size === 0 || opset < PER_CHANNEL) return importQdq(model);
  try {
    const made = importQdq(new Dequantized(model, ALONE).result());
    if (isQuantized(made)) {
      const layers = [...integerLayers(fuseAnyShape(made.model), made)];
      const others = layers.filter(({ kind, name }) => kind !== 'maxPool' && !exact.has(name));
      if (others.length === 0 && layers.filter(({ name }) => exact.has(name)).length === exact.size)
        return made;
    }
  } catch (error) {
    if (!(error instanceof LloydError)) throw error;
  }
  return importQdq(model);
}

class Dequantized {
  private readonly parameters: Map<string, OnnxTensor>;
  private readonly nodes: Node[] = [];
  private readonly grids = new Map<string, Grid>();
  /** What a value of codes is as floats. */
  private readonly floats = new Map<string, string>();
  private readonly names: Names;

  /** @param alone operators that stay, by the place of their output's scale */
  constructor(
    private readonly model: GraphModel,
    private readonly alone: Readonly<Record<string, number>> = {},
  ) {
    this.parameters = new Map(model.parameters);
    const { inputs, nodes } = model.graph;
    this.names = new Names([
      ...inputs.map(({ name }) => name),
      ...model.parameters.keys(),
      ...nodes.flatMap(({ name, outputs }) => [name, ...outputs]),
    ]);
  }

  result(): GraphModel {
    const { graph } = this.model;
    const refused = graph.nodes.filter((node) => !this.convert(node));
    if (refused.length > 0) {
      throw new LloydError(
        `${graph.name}: operators on codes must have a form between DequantizeLinear and QuantizeLinear`,
        refused.map(({ name, op }) => `${name} (${op})`).join(', '),
        'convert the float network instead',
      );
    }
    const used = new Set([...this.nodes.flatMap(({ inputs }) => inputs), ...graph.outputs]);
    const parameters = new Map([...this.parameters].filter(([name]) => used.has(name)));
    return { graph: { ...graph, nodes: this.nodes }, parameters };
  }

  /** Whether a node could be. */
  private convert(node: Node): boolean {
    const { op, inputs, outputs, attributes } = node;
    const at = (i: number) => inputs[i] ?? null;
    /** Three inputs from the i-th on: codes, scale, zero point. */
    const read = (i: number, axis?: number) =>
      this.read(at(i)!, { scale: at(i + 1)!, zeroPoint: at(i + 2) }, axis);
    const write = (i: number, own: string, values: (string | null)[], kept: Attributes = {}) =>
      this.write(node, own, values, { scale: at(i)!, zeroPoint: at(i + 1) }, kept);
    if (op in this.alone) {
      // Codes as floats, and these quantized again, are the same codes: before it and after it, so that grids are known.
      const again = inputs.map((name, i) => {
        if (i !== 0 && !(i === 3 && op === 'QLinearMul')) return name;
        const own = this.names.unique(`${name}/again`);
        this.quantize([own], read(i), { scale: at(i + 1)!, zeroPoint: at(i + 2) });
        return own;
      });
      const grid = { scale: at(this.alone[op])!, zeroPoint: at(this.alone[op] + 1) };
      const own = this.names.unique(`${outputs[0]}/codes`);
      this.nodes.push({ ...node, inputs: again, outputs: [own] });
      return this.quantize(outputs, this.read(own, grid), grid);
    }
    switch (op) {
      case 'QuantizeLinear':
        this.grids.set(outputs[0], { scale: at(1)!, zeroPoint: at(2) });
        this.nodes.push(node);
        return true;
      case 'QLinearConv': {
        const bias = this.bias(at(8), [at(1), at(4)], 1);
        if (bias === undefined) return false;
        return write(6, 'Conv', [read(0), read(3, 0), ...(bias ? [bias] : [])], attributes);
      }
      case 'QLinearMatMul':
        return write(6, 'MatMul', [read(0), read(3, -1)]);
      case 'QGemm': {
        const { alpha = 1, transB = 0 } = attributes;
        const bias = this.bias(at(6), [at(1), at(4)], Number(alpha));
        if (bias === undefined) return false;
        const values = [read(0), read(3, transB ? 0 : 1), ...(bias ? [bias] : [])];
        if (at(7) === null) {
          this.nodes.push({ ...node, op: 'Gemm', domain: '', inputs: values });
          return true;
        }
        return write(7, 'Gemm', values, attributes);
      }
      case 'QLinearAdd':
      case 'QLinearMul':
        return write(6, op.slice('QLinear'.length), [read(0), read(3)]);
      case 'QLinearSigmoid':
      case 'QLinearLeakyRelu':
        return write(3, op.slice('QLinear'.length), [read(0)], attributes);
      case 'QLinearGlobalAveragePool':
      case 'QLinearAveragePool': {
        const { channels_last: last = 0, ...kept } = attributes;
        if (last) return false;
        return write(3, op.slice('QLinear'.length), [read(0)], kept);
      }
      case 'QLinearSoftmax': {
        // Before opset 13 all dimensions from the axis on are one.
        const { axis = -1, opset } = attributes;
        if (Number(opset) < 13 && axis !== -1) return false;
        return write(3, 'Softmax', [read(0)], { axis });
      }
      case 'QLinearWhere':
        return write(7, 'Where', [at(0), read(1), read(4)]);
      case 'QLinearConcat': {
        const parts = Array.from({ length: Math.floor((inputs.length - 2) / 3) }, (_, i) => read(2 + 3 * i));
        return write(0, 'Concat', parts, attributes);
      }
      default: {
        const grid = at(0) === null ? undefined : this.grids.get(at(0)!);
        if (grid && PASSING.includes(op) && outputs.length === 1) {
          return this.write(node, op, [this.read(at(0)!, grid), ...inputs.slice(1)], grid, attributes);
        }
        if (onCodes(op)) return false;
        this.nodes.push(node);
        return true;
      }
    }
  }

  /** Codes as floats; constants and values once each. */
  private read(codes: string, { scale, zeroPoint }: Grid, axis?: number): string {
    const key = JSON.stringify([codes, scale, zeroPoint]);
    const known = this.floats.get(key);
    if (known) return known;
    const name = this.names.unique(`${codes}/dequantized`);
    const channels = sizeOf(this.parameters.get(scale)?.dims ?? []);
    const rank = this.parameters.get(codes)?.dims.length ?? 0;
    const attributes: Attributes =
      axis === undefined || channels === 1 ? {} : { axis: axis < 0 ? axis + rank : axis };
    const inputs = zeroPoint === null ? [codes, scale] : [codes, scale, zeroPoint];
    this.nodes.push({ op: 'DequantizeLinear', name, inputs, outputs: [name], attributes });
    this.floats.set(key, name);
    return name;
  }

  /** A node on floats, its output quantized to the codes that it made before. */
  private write(
    { name, outputs }: Node,
    op: string,
    inputs: (string | null)[],
    grid: Grid,
    attributes: Attributes,
  ): true {
    const value = this.names.unique(`${outputs[0]}/float`);
    this.nodes.push({ op, name, inputs, outputs: [value], attributes });
    return this.quantize(outputs, value, grid);
  }

  private quantize(outputs: readonly string[], value: string, grid: Grid): true {
    const name = this.names.unique(`${outputs[0]}/quantize`);
    const by = grid.zeroPoint === null ? [value, grid.scale] : [value, grid.scale, grid.zeroPoint];
    this.nodes.push({ op: 'QuantizeLinear', name, inputs: by, outputs, attributes: {} });
    this.grids.set(outputs[0], grid);
    return true;
  }

  /** An int32 bias by the scale that it has in sums of products; null of none, undefined where that is not known. */
  private bias(
    bias: string | null,
    scales: readonly (string | null)[],
    factor: number,
  ): string | null | undefined {
    if (bias === null) return null;
    const [x, w] = scales.map((name) => (name === null ? undefined : this.parameters.get(name)?.data));
    if (!(x instanceof Float32Array) || !(w instanceof Float32Array) || x.length !== 1) return undefined;
    const scale = this.names.unique(`${bias}/scale`);
    const data = w.map((own) => Math.fround(Math.fround(x[0] * own) * factor));
    this.parameters.set(scale, { dtype: 'float32', dims: w.length === 1 ? [] : [w.length], data });
    return this.read(bias, { scale, zeroPoint: null }, 0);
  }
}
