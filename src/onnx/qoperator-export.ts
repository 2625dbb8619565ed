import { pruned } from '../graph/concrete.ts';
import type { GraphModel, Node } from '../graph/graph.ts';
import { GraphWriter } from '../graph/graph-writer.ts';
import { type Attributes, CODE_RANGE, sizeOf } from '../graph/ops/tensors.ts';
import { fromWords } from '../graph/ops/value.ts';
import { PASSING } from '../lower/import-qoperator.ts';
import { roundHalfToEven } from '../reference/round.ts';

/** QuantizeLinear's and DequantizeLinear's scale and zero point, by name. */
interface Grid {
  scale: string;
  zeroPoint: string;
}

const MICROSOFT = 'com.microsoft';

/**
 * The operators on codes that nodes between DequantizeLinear and QuantizeLinear stand for: QLinearConv, QLinearMatMul,
 * QGemm, QLinearAdd, QLinearConcat and pools on codes, ONNX's and ONNX Runtime's (com.microsoft). What has none stays
 * between its quantizers.
 */
export function qoperatorGraph(qdq: GraphModel): GraphModel {
  return new QOperators(qdq).result();
}

class QOperators {
  private readonly makers = new Map<string, Node>();
  private readonly readers = new Map<string, Node[]>();
  private readonly done = new Map<Node, Node[]>();
  private readonly gone = new Set<Node>();
  private readonly make: GraphWriter;

  constructor(private readonly model: GraphModel) {
    this.make = new GraphWriter('', model.graph.opset, model);
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
    return pruned({ graph: { ...graph, nodes }, parameters: this.make.parameters });
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
    const value = name ? this.make.parameters.get(name)?.data[0] : undefined;
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
    const [lowest, highest] = CODE_RANGE[this.make.parameters.get(grid.zeroPoint)!.dtype as 'int8']!;
    return (low === undefined || code(low) <= lowest) && (high === undefined || code(high) >= highest);
  }

  /** The sum after a product that is its bias, and that bias. */
  private biasOf({ op, outputs: [output] }: Node): { sum?: Node; bias: string[] } {
    const sum = op === 'MatMul' && this.only(output);
    const bias = sum && sum.op === 'Add' && sum.inputs.find((name) => name !== output);
    const codes = bias && this.make.parameters.get(this.codes(bias)?.codes ?? '');
    return codes && codes.dtype === 'int32' && codes.dims.length === 1 ? { sum, bias: [bias] } : { bias: [] };
  }

  /** A QGemm, which takes matrices, for codes of any rank. */
  private ofAnyRank(gemm: Node): Node[] {
    const { make } = this;
    const { name, outputs } = gemm;
    const [codes, ...rest] = gemm.inputs;
    const columns = make.parameters.get(rest[2]!)!.dims[1];
    const node = (op: string, inputs: (string | null)[], attributes: Attributes = {}) =>
      make.node(op, `${name}/${op}`, inputs, attributes);
    const list = (value: number) => make.integers(`${name}/list`, [value]);
    const matrix = node('Flatten', [codes], { axis: -1 });
    const outer = node('Slice', [node('Shape', [codes]), list(0), list(-1)]);
    const inputs = [make.unique(`${name}/product`), node('Concat', [outer, list(columns)], { axis: 0 })];
    return [
      ...make.nodes.splice(0),
      { ...gemm, inputs: [matrix, ...rest], outputs: [inputs[0]] },
      { op: 'Reshape', name: make.unique(`${name}/Reshape`), inputs, outputs, attributes: {} },
    ];
  }

  private convert(node: Node): void {
    const { sum, bias } = this.biasOf(node);
    const { outputs } = sum ?? node;
    const own = { ...node, op: sum ? 'Gemm' : node.op, inputs: [...node.inputs, ...bias], outputs };
    const converted = this.onCodes(own);
    if (!converted) return;
    const place = (made: Node) => {
      this.done.set(node, node.op === 'MatMul' && made.op === 'QGemm' ? this.ofAnyRank(made) : [made]);
      if (sum) this.gone.add(sum);
    };
    const end = this.quantizer(own.outputs[0]);
    if (!end) {
      // Of products only a QGemm gives floats.
      const floats = own.op === 'MatMul' ? this.onCodes({ ...own, op: 'Gemm' }) : converted;
      const float = floats?.(null, own.outputs[0]);
      if (float) place(float);
      return;
    }
    const [, scale, zeroPoint] = end.node.inputs;
    if (!end.through.every((each) => this.implied(each, { scale: scale!, zeroPoint: zeroPoint! }))) return;
    const passing = end.through.filter(({ op }) => PASSING.includes(op));
    const codes = end.node.outputs[0];
    let at = passing.length === 0 ? codes : `${own.outputs[0]}/codes`;
    const made = converted({ scale: scale!, zeroPoint: zeroPoint! }, at);
    if (!made) return;
    place(made);
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
    const weights = b && this.make.parameters.get(b.codes);
    const isMatrix = weights?.dims.length === 2 && /^u?int8$/.test(weights.dtype);
    const isProduct =
      op === 'Conv'
        ? c
        : op === 'Gemm'
          ? isMatrix
          : op === 'MatMul' && (isMatrix || (b?.zeroPoint && !weights));
    if (a && b && isProduct) {
      const list = [...each(a), b.codes, b.scale, this.zeros(b)];
      const bias = c ? [c.codes] : [];
      return (y, output) => {
        const by = y ? [y.scale, y.zeroPoint] : [];
        if (op === 'Gemm') {
          const read = [...list, ...(y && !c ? [null] : bias), ...by];
          return make('QGemm', read, output, { transB: attributes.transB }, MICROSOFT);
        }
        return y && make(op === 'Conv' ? 'QLinearConv' : 'QLinearMatMul', [...list, ...by, ...bias], output);
      };
    }
    if (op === 'Add' ? a?.zeroPoint && b?.zeroPoint : op === 'GlobalAveragePool' && a) {
      const list = read.flatMap((of) => each(of!));
      return (y, output) => y && make(`QLinear${op}`, [...list, y.scale, y.zeroPoint], output, {}, MICROSOFT);
    }
    if (op === 'Concat' && read.every((of) => of)) {
      const all = read.flatMap((of) => each(of!));
      return (y, output) =>
        y && make('QLinearConcat', [y.scale, y.zeroPoint, ...all], output, attributes, MICROSOFT);
    }
    if (op === 'MaxPool' && a) {
      return (y, output) => (y && this.same(y, a) ? make('MaxPool', [a.codes], output) : null);
    }
    return null;
  }

  /** Zero points of weights, which QLinear operators want to be there. */
  private zeros(b: Grid & { codes: string }): string {
    if (b.zeroPoint) return b.zeroPoint;
    const [codes, scale] = [b.codes, b.scale].map((name) => this.make.parameters.get(name)!);
    const zeros = fromWords(codes.dtype, scale.dims, new Int8Array(sizeOf(scale.dims)));
    return this.make.constant(`${b.codes}/zero_point`, zeros);
  }
}
