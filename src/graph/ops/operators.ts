import { check } from '../../gpu/errors.ts';
import { attentionOperators } from './attention.ts';
import { betweenOperators } from './between-quantizers.ts';
import { castOperators } from './cast.ts';
import { convolutionOperators } from './convolution.ts';
import { einsumOperators } from './einsum.ts';
import { gridOperators } from './grid.ts';
import { indexingOperators } from './indexing.ts';
import { integerConvolutionOperators } from './integer-convolution.ts';
import { integerProductOperators } from './integer-products.ts';
import { knownOperators } from './known.ts';
import { linearOperators } from './linear.ts';
import { microsoftOperators } from './microsoft.ts';
import { moveOperators } from './move.ts';
import { MOST_ELEMENTS, type NodeSpec } from './node.ts';
import { normalizeOperators } from './normalize.ts';
import { OPSETS, type Operator } from './operator.ts';
import type { Plan } from './plan.ts';
import { pointwiseOperators } from './pointwise.ts';
import { poolOperators } from './pool.ts';
import { positionOperators } from './positions.ts';
import { productOperators } from './product.ts';
import { quantizedOperators } from './quantized.ts';
import { recurrentOperators } from './recurrent.ts';
import { reduceOperators } from './reduce.ts';
import { resizeOperators } from './resize.ts';
import { rowOperators } from './row-functions.ts';
import { sizeOf } from './tensors.ts';
import type { Value } from './value.ts';
import { viewOperators } from './view.ts';

/** Operators on codes of quantized tensors. */
export const codeOperators = /* @__PURE__ */ (() => ({
  ...linearOperators,
  ...integerConvolutionOperators,
  ...integerProductOperators,
  ...quantizedOperators,
  ...betweenOperators,
}))();

/** Every operator, by ONNX's name. */
export const plannedOperators = /* @__PURE__ */ (() => ({
  ...codeOperators,
  ...pointwiseOperators,
  ...castOperators,
  ...moveOperators,
  ...reduceOperators,
  ...convolutionOperators,
  ...productOperators,
  ...poolOperators,
  ...normalizeOperators,
  ...resizeOperators,
  ...viewOperators,
  ...rowOperators,
  ...indexingOperators,
  ...positionOperators,
  ...recurrentOperators,
  ...einsumOperators,
  ...attentionOperators,
  ...microsoftOperators,
  ...gridOperators,
  ...knownOperators,
}))();

/** An operator that `runOperator` knows. */
export type OperatorName = keyof typeof plannedOperators;
/** The name by which {@link plannedOperators} has a node's operator: of two by one name the domain says which. */
export function operatorName({ op, domain = '' }: { op: string; domain?: string }): string {
  const own = `${domain}.${op}`;
  return own in plannedOperators ? own : op;
}

/** Operators whose inputs and outputs are never int64. */
export type CodeOperator = keyof typeof codeOperators;

/**
 * What an operator gives for inputs of these dtypes and dims, and the dispatches that compute it.
 *
 * @param spec `opset` is the newest unless given; inputs that shapes depend on need their data.
 * @throws LloydError for an unknown operator, an opset that hasn't it, and whatever the operator doesn't take.
 */
export function planOperator({
  opset = OPSETS.newest,
  ...spec
}: Omit<NodeSpec, 'opset'> & { opset?: number }): Plan {
  const { operator } = spec;
  const entry: Operator | undefined = (plannedOperators as Record<string, Operator>)[operator];
  check(entry, `the operator must be one of ${Object.keys(plannedOperators).join(', ')}`, operator);
  const { oldest, newest } = OPSETS;
  check(
    Number.isInteger(opset) && opset >= oldest && opset <= newest,
    `${operator}: opset must be an integer from ${oldest} to ${newest}`,
    opset,
  );
  const { since, until = newest + 1, domain } = entry;
  check(
    domain || (opset >= since && opset < until),
    `${operator} is there from opset ${since}${entry.until ? ` to ${until - 1}` : ''}`,
    opset,
  );
  const plan = entry.plan({ opset, ...spec });
  for (const { dims } of plan.outputs) {
    const most = `${operator}: an output must have at most ${MOST_ELEMENTS} elements, the limit of every buffer`;
    check(sizeOf(dims) <= MOST_ELEMENTS, most, dims);
  }
  return plan;
}

/**
 * The dtype and dims of an operator's outputs, and their data where they follow from shapes and constants alone.
 *
 * @throws LloydError as {@link planOperator}.
 */
export const inferOperator = (spec: Parameters<typeof planOperator>[0]): Value[] =>
  planOperator(spec).outputs.map(({ dtype, dims, data }) => ({ dtype, dims, ...(data && { data }) }));
