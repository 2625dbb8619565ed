import { LloydError } from '../gpu/errors.ts';
import type { Node } from '../graph/graph.ts';
import { located } from '../graph/infer-node.ts';
import { executeTwin } from '../graph/ops/execute-twin.ts';
import { planOperator } from '../graph/ops/operators.ts';
import { type Attributes, type OnnxTensor, sizeOf } from '../graph/ops/tensors.ts';
import { DTYPE_NUMBERS, fromWords, type OnnxDType } from '../graph/ops/value.ts';

/** Reductions take their axes as an input, Resize takes axes, Gelu is there. */
export const OPSET = 20;

/** The most elements that are computed while a graph is read: shapes, axes, small constants. */
const MOST_FOLDED = 4096;

/** A tensor of the network under construction. */
export interface Value {
  name: string;
  dtype: OnnxDType;
  /** How many dimensions it has; null where that is not known before the network runs. */
  rank: number | null;
  /** Its sizes for one choice of the symbols; null where that choice fits none. */
  dims: readonly number[] | null;
  /** What it holds then, where that is known and small. */
  data?: OnnxTensor['data'];
  /** Whether dims and data are these whatever the symbols are. */
  exact: boolean;
}

type Made = Omit<Value, 'name'>;
type Inputs = readonly (Value | null)[];

/** What a node makes of these inputs. */
export function infer(
  { op, name, attributes }: { op: string; name: string; attributes: Attributes },
  inputs: Inputs,
  count: number,
): Made[] {
  const unknown = () => {
    const [dtype, rank] = [dtypeWithoutDims(op, inputs, attributes), rankWithoutDims(op, inputs, attributes)];
    return Array.from({ length: count }, (): Made => ({ dtype, rank, dims: null, exact: false }));
  };
  if (inputs.some((value) => value && !value.dims)) return unknown();
  const exact = inputs.every((value) => value === null || value.exact);
  const read = inputs.map((value) => value && { ...value, dims: value.dims! });
  try {
    const node = { op, name } as Node;
    const plan = located(node, () =>
      planOperator({ operator: op, opset: OPSET, inputs: read, attributes, outputs: count }),
    );
    const small = [...plan.outputs, ...read].every((value) => !value || sizeOf(value.dims) <= MOST_FOLDED);
    const folds = small && read.every((value) => value === null || value.data);
    const run = folds && plan.outputs.some(({ data }) => !data) ? executeTwin(plan, read) : null;
    return plan.outputs.map(({ dtype, dims, data, from }, i): Made => {
      const same = from !== undefined ? read[from]!.data : undefined;
      const held = data ?? same ?? (run ? fromWords(dtype, dims, run[i].data).data : undefined);
      return { dtype, rank: dims.length, dims, exact, ...(held && { data: held }) };
    });
  } catch (error) {
    // Of symbols another size may fit; without any the network is wrong.
    if (exact || !(error instanceof LloydError)) throw error;
    return unknown();
  }
}

const TO_BOOL = ['Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual', 'And', 'Or', 'Not', 'IsNaN'];
const TO_INT64 = ['Shape', 'Size', 'ArgMax', 'ArgMin'];

function dtypeWithoutDims(op: string, inputs: Inputs, attributes: Attributes): OnnxDType {
  if (TO_BOOL.includes(op)) return 'bool';
  if (TO_INT64.includes(op)) return 'int64';
  if (op === 'Cast') return DTYPE_NUMBERS[attributes.to as number];
  return inputs[op === 'Where' ? 1 : 0]!.dtype;
}

/** Operators whose output has as many dimensions as the longest of their inputs. */
const BROADCASTING =
  'Add Sub Mul Div Pow Mod Min Max Where Equal Less LessOrEqual Greater GreaterOrEqual And Or BitwiseAnd MatMul'.split(
    ' ',
  );

/** Ranks follow from ranks where sizes fail. */
function rankWithoutDims(op: string, inputs: Inputs, attributes: Attributes): number | null {
  const ranks = inputs.map((value) => value?.rank ?? null);
  const [rank] = ranks;
  const listed = (index: number) => inputs[index]?.dims?.[0] ?? null;
  const moved = (by: number | null) => (rank === null || by === null ? null : rank + by);
  if (BROADCASTING.includes(op)) {
    return ranks.some((own) => own === null) ? null : Math.max(...(ranks as number[]));
  }
  if (op === 'Shape' || op === 'Range') return 1;
  if (op === 'Size') return 0;
  if (op === 'Flatten') return 2;
  if (op === 'Reshape') return listed(1);
  if (op === 'Expand') {
    const own = listed(1);
    return rank === null || own === null ? null : Math.max(rank, own);
  }
  if (op === 'Gather') return ranks[1] === null ? null : moved(ranks[1] - 1);
  if (op === 'Unsqueeze') return moved(listed(1));
  const keeps = attributes.keepdims !== 0;
  const gone = op === 'Squeeze' || (op.startsWith('Reduce') && !keeps) ? listed(1) : null;
  if (op === 'Squeeze' || (op.startsWith('Reduce') && !keeps)) return gone === null ? null : moved(-gone);
  if (op.startsWith('Arg') && !keeps) return moved(-1);
  return rank;
}
