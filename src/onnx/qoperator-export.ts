import { pruned, VIEWS } from '../graph/concrete.ts';
import type { GraphModel, Node } from '../graph/graph.ts';
import { CODE_RANGE, type OnnxTensor, sizeOf } from '../graph/ops/tensors.ts';
import { roundHalfToEven } from '../reference/round.ts';

/** QuantizeLinear's and DequantizeLinear's scale and zero point, by name. */
interface Grid {
  scale: string;
  zeroPoint: string;
}

const MICROSOFT = 'com.microsoft';
/** What has the same meaning on codes as on the values that they stand for, in one grid. */
export const PASSING: readonly string[] = ['MaxPool', ...VIEWS];

/**
 * The operators on codes that nodes between DequantizeLinear and QuantizeLinear stand for: QLinearConv, QGemm, QLinearAdd,
 * QLinearConcat and pools on codes, ONNX's and ONNX Runtime's (com.microsoft). A MatMul, and what else has none,
 * stays between its quantizers.
 */
export function qoperatorGraph(qdq: GraphModel): GraphModel {
  return new QOperators(qdq).result();
}

class QOperators {
  private readonly makers = new Map<string, Node>();
  private readonly readers = new Map<string, Node[]>();
  private readonly done = new Map<Node, Node[]>();
  private readonly gone = new Set<Node>();
  private readonly parameters: Map<string, OnnxTensor>;

  constructor(private readonly model: GraphModel) {
    this.parameters = new Map(model.parameters);
    for (const node of model.graph.nodes) {
      for (const output of node.outputs) this.makers.set(output, node);
      for (const input of node.inputs) {
        if (input !== null) this.readers.set(input, [...(this.readers.get(input) ?? []), node]);
      }
    }
  }

  result(): GraphModel {
    const { graph } = this.model;
    for (const node of graph.nodes) this.convert(node);
    const nodes = graph.nodes.flatMap((node) => (this.gone.has(node) ? [] : (this.done.get(node) ?? [node])));
    return pruned({ graph: { ...graph, nodes }, parameters: this.parameters });
  }

  /** What DequantizeLinear made a value of. */
  private codes(value: string | null | undefined): (Grid & { codes: string }) | null {
    const node = value ? this.makers.get(value) : undefined;
    if (node?.op !== 'DequantizeLinear') return null;
    const [codes, scale, zeroPoint] = node.inputs;
    return { codes: codes!, scale: scale!, zeroPoint: zeroPoint ?? '' };
  }

  private only(value: string): Node | null {
    const own = this.readers.get(value) ?? [];
    return own.length === 1 && !this.model.graph.outputs.includes(value) ? own[0] : null;
  }

  /** The quantizer that alone reads a value, through clamps, max-pools and views. */
  private quantizer(value: string): { node: Node; through: Node[] } | null {
    const through: Node[] = [];
    let at = value;
    for (;;) {
      const next = this.only(at);
      if (!next) return null;
      if (next.op === 'QuantizeLinear') return { node: next, through };
      const passes = [...PASSING, 'Relu', 'Clip'].includes(next.op) && next.outputs.length === 1;
      if (!passes || next.inputs[0] !== at) return null;
      through.push(next);
      [at] = next.outputs;
    }
  }

  private number(name: string | null | undefined): number | undefined {
    const value = name ? this.parameters.get(name)?.data[0] : undefined;
    return value === undefined ? undefined : Number(value);
  }

  private same(a: Grid, b: Grid): boolean {
    return (
      this.number(a.scale) === this.number(b.scale) && this.number(a.zeroPoint) === this.number(b.zeroPoint)
    );
  }

  /** Whether a grid's range of codes clamps as a Relu or Clip does. */
  private implied({ op, inputs }: Node, grid: Grid): boolean {
    if (PASSING.includes(op)) return true;
    const [scale, zeroPoint] = [this.number(grid.scale)!, this.number(grid.zeroPoint)!];
    const low = op === 'Relu' ? 0 : this.number(inputs[1]);
    const high = op === 'Relu' ? undefined : this.number(inputs[2]);
    const code = (value: number) => roundHalfToEven(value / scale) + zeroPoint;
    const [lowest, highest] = CODE_RANGE[this.parameters.get(grid.zeroPoint)!.dtype as 'int8']!;
    return (low === undefined || code(low) <= lowest) && (high === undefined || code(high) >= highest);
  }

  private convert(node: Node): void {
    const converted = this.onCodes(node);
    if (!converted) return;
    const end = this.quantizer(node.outputs[0]);
    if (!end) {
      const float = converted(null, node.outputs[0]);
      if (float) this.done.set(node, [float]);
      return;
    }
    const [, scale, zeroPoint] = end.node.inputs;
    if (!end.through.every((each) => this.implied(each, { scale: scale!, zeroPoint: zeroPoint! }))) return;
    const passing = end.through.filter(({ op }) => PASSING.includes(op));
    const codes = end.node.outputs[0];
    let at = passing.length === 0 ? codes : `${node.outputs[0]}/codes`;
    const made = converted({ scale: scale!, zeroPoint: zeroPoint! }, at);
    if (!made) return;
    this.done.set(node, [made]);
    // Each at its own place: a Reshape's sizes may be computed after what it reshapes.
    for (const [i, each] of passing.entries()) {
      const output = i === passing.length - 1 ? codes : `${each.outputs[0]}/codes`;
      this.done.set(each, [{ ...each, inputs: [at, ...each.inputs.slice(1)], outputs: [output] }]);
      at = output;
    }
    for (const each of [...end.through, end.node]) if (!this.done.has(each)) this.gone.add(each);
  }

  /** What makes a node's counterpart on codes, for the grid of its output or none; null where it has none. */
  private onCodes({
    op,
    name,
    inputs,
    attributes,
  }: Node): ((y: Grid | null, output: string) => Node | null) | null {
    const read = inputs.map((input) => this.codes(input));
    const [a, b, c] = read;
    const make = (
      own: string,
      list: (string | null)[],
      output: string,
      kept = attributes,
      domain = '',
    ): Node => ({
      op: own,
      name,
      inputs: list,
      outputs: [output],
      attributes: kept,
      ...(domain && { domain }),
    });
    const each = (of: Grid & { codes: string }) => [of.codes, of.scale, of.zeroPoint];
    if (op === 'Conv' && a && b && c) {
      const weightZero = this.zeros(b);
      return (y, output) =>
        y &&
        make(
          'QLinearConv',
          [...each(a), b.codes, b.scale, weightZero, y.scale, y.zeroPoint, c.codes],
          output,
        );
    }
    if (op === 'Gemm' && a && b && c && /^u?int8$/.test(this.parameters.get(b.codes)?.dtype ?? '')) {
      const weightZero = this.zeros(b);
      const kept = { transB: attributes.transB };
      return (y, output) =>
        make(
          'QGemm',
          [...each(a), b.codes, b.scale, weightZero, c.codes, ...(y ? [y.scale, y.zeroPoint] : [])],
          output,
          kept,
          MICROSOFT,
        );
    }
    if (op === 'Add' && a && b && a.zeroPoint && b.zeroPoint) {
      return (y, output) =>
        y && make('QLinearAdd', [...each(a), ...each(b), y.scale, y.zeroPoint], output, {}, MICROSOFT);
    }
    if (op === 'Concat' && read.every((of) => of)) {
      const all = read.flatMap((of) => each(of!));
      return (y, output) =>
        y && make('QLinearConcat', [y.scale, y.zeroPoint, ...all], output, attributes, MICROSOFT);
    }
    if (op === 'GlobalAveragePool' && a) {
      return (y, output) =>
        y && make('QLinearGlobalAveragePool', [...each(a), y.scale, y.zeroPoint], output, {}, MICROSOFT);
    }
    if (op === 'MaxPool' && a) {
      return (y, output) => (y && this.same(y, a) ? make('MaxPool', [a.codes], output) : null);
    }
    return null;
  }

  /** Zero points of weights, which QLinear operators want to be there. */
  private zeros(b: Grid & { codes: string }): string {
    if (b.zeroPoint) return b.zeroPoint;
    const name = `${b.codes}/zero_point`;
    const { dims } = this.parameters.get(b.scale)!;
    const { dtype } = this.parameters.get(b.codes)!;
    const data = new Int8Array(sizeOf(dims));
    this.parameters.set(name, { dtype, dims, data } as OnnxTensor);
    return name;
  }
}
