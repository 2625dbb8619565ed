import { type Composer, composed, type Part, relabelled } from './compose.ts';
import { copyBox } from './copy-step.ts';
import { stridesOf } from './layout.ts';
import type { Node } from './node.ts';
import type { Operator } from './operator.ts';
import { sizeOf } from './tensors.ts';
import { FLOATS, isFloat, type OnnxDType } from './value.ts';

const SUMMED: readonly OnnxDType[] = [...FLOATS, 'int32', 'int64', 'uint32'];

/** A tensor whose dimensions have names: letters, and the place of those that an ellipsis stands for. */
interface Labelled {
  part: Part;
  labels: readonly string[];
}

/** The labels of every operand and of the result, an ellipsis spelt out from its last dimension on. */
function labelsOf(
  node: Node,
  equation: string,
  ranks: readonly number[],
): { terms: string[][]; result: string[] } {
  const [left, right, ...more] = equation.replaceAll(' ', '').split('->');
  const texts = left.split(',');
  const isTerm = (text: string) => /^[a-zA-Z]*(\.\.\.)?[a-zA-Z]*$/.test(text);
  node.ensure(
    more.length === 0 && [...texts, right ?? ''].every(isTerm),
    'equation must be terms of letters and one ellipsis each, as in "ij,jk->ik"',
    equation,
  );
  node.ensure(
    texts.length === ranks.length,
    `equation must have a term for each of the ${ranks.length} inputs`,
    equation,
  );
  const hidden = texts.map((text, i) => (text.includes('...') ? ranks[i] - text.length + 3 : 0));
  const most = Math.max(0, ...hidden);
  const spelt = (text: string, count: number): string[] => {
    const [before, after] = text.split('...');
    const dots = Array.from({ length: count }, (_, i) => `.${count - i}`);
    return after === undefined ? [...before] : [...before, ...dots, ...after];
  };
  const terms = texts.map((text, i) => spelt(text, hidden[i]));
  for (const [i, labels] of terms.entries()) {
    node.ensure(
      hidden[i] >= 0 && labels.length === ranks[i],
      `equation must have a letter for each of the ${ranks[i]} dimensions of input ${i}`,
      texts[i],
    );
  }
  if (right !== undefined) return { terms, result: spelt(right, most) };
  // Without an arrow: an ellipsis, then what occurs once, by the alphabet.
  const letters = terms.flat().filter((label) => !label.startsWith('.'));
  const once = letters.filter((label) => letters.indexOf(label) === letters.lastIndexOf(label)).sort();
  return { terms, result: [...Array.from({ length: most }, (_, i) => `.${most - i}`), ...once] };
}

/** Dimensions of one name are one: the diagonal. */
function diagonal(c: Composer, { part, labels }: Labelled): Labelled {
  const own = [...new Set(labels)];
  if (own.length === labels.length) return { part, labels };
  const strides = stridesOf(part.dims);
  const dims = own.map((label) => part.dims[labels.indexOf(label)]);
  const inputStrides = own.map((label) =>
    strides.reduce((sum, by, d) => sum + (labels[d] === label ? by : 0), 0),
  );
  const step = copyBox(part.dtype, { input: 0 }, { output: 0 }, { dims, inputStrides });
  const plan = { outputs: [{ dtype: part.dtype, dims }], steps: [step] };
  return { part: c.place(plan, [part])[0], labels: own };
}

/** Sums over names that nobody else has. */
function summed(c: Composer, { part, labels }: Labelled, kept: ReadonlySet<string>): Labelled {
  const gone = labels.flatMap((label, axis) => (kept.has(label) ? [] : [axis]));
  if (gone.length === 0) return { part, labels };
  const sum = c.op('ReduceSum', [part, c.list(...gone)], { keepdims: 0 });
  return { part: sum, labels: labels.filter((label) => kept.has(label)) };
}

const ordered = (c: Composer, { part, labels }: Labelled, order: readonly string[]): Part =>
  c.transpose(
    part,
    order.map((label) => labels.indexOf(label)),
  );

/** Two operands as one product of matrices: over what both have and nobody needs any more. */
function contracted(c: Composer, a: Labelled, b: Labelled, kept: ReadonlySet<string>): Labelled {
  const both = a.labels.filter((label) => b.labels.includes(label));
  const [batch, over] = [true, false].map((needed) => both.filter((label) => kept.has(label) === needed));
  const rows = a.labels.filter((label) => !both.includes(label));
  const columns = b.labels.filter((label) => !both.includes(label));
  const sizeIn = ({ part, labels }: Labelled, list: readonly string[]) =>
    sizeOf(list.map((label) => part.dims[labels.indexOf(label)]));
  const dims = [...batch, ...rows].map((label) => a.part.dims[a.labels.indexOf(label)]);
  dims.push(...columns.map((label) => b.part.dims[b.labels.indexOf(label)]));
  const [count, depth] = [sizeIn(a, batch), sizeIn(a, over)];
  const left = c.reshape(ordered(c, a, [...batch, ...rows, ...over]), [count, sizeIn(a, rows), depth]);
  const right = c.reshape(ordered(c, b, [...batch, ...over, ...columns]), [count, depth, sizeIn(b, columns)]);
  const labels = [...batch, ...rows, ...columns];
  return { part: c.reshape(c.op('MatMul', [left, right]), dims), labels };
}

const einsum = composed(12, ['Inputs...'], ['equation'], (c, node) => {
  const values = node.variadic(SUMMED);
  const equation = node.attribute('equation');
  node.ensure(typeof equation === 'string', 'equation must be given', equation ?? 'none');
  const { terms, result } = labelsOf(
    node,
    equation as string,
    values.map(({ dims }) => dims.length),
  );
  const sizes = new Map<string, number>();
  for (const [i, labels] of terms.entries()) {
    for (const [axis, label] of labels.entries()) {
      const [own, before] = [values[i].dims[axis], sizes.get(label) ?? 1];
      node.ensure(
        own === before || own === 1 || before === 1,
        `dimensions of one letter must be equal, or 1`,
        [before, own],
      );
      if (own !== 1 || !sizes.has(label)) sizes.set(label, own);
    }
  }
  node.ensure(
    new Set(result).size === result.length && result.every((label) => sizes.has(label)),
    'the result must have letters of the terms, each once',
    equation,
  );
  const operands = terms.map((labels, i): Labelled => {
    const part = isFloat(values[i].dtype) ? c.float(i) : c.input(i);
    const full = labels.map((label) => sizes.get(label)!);
    return diagonal(c, {
      part: `${full}` === `${part.dims}` ? part : c.op('Expand', [part, c.list(...full)]),
      labels,
    });
  });
  const neededBy = (from: number) =>
    new Set([...result, ...operands.slice(from).flatMap(({ labels }) => labels)]);
  let made = operands[0];
  for (const [i, next] of operands.entries()) {
    if (i === 0) continue;
    const others = new Set([...neededBy(i + 1), ...made.labels]);
    const own = summed(c, made, new Set([...neededBy(i)]));
    made = contracted(c, own, summed(c, next, others), neededBy(i + 1));
  }
  return [relabelled(ordered(c, summed(c, made, new Set(result)), result), values[0].dtype)];
});

/** Sums of products by an equation. */
export const einsumOperators = { Einsum: einsum } satisfies Readonly<Record<string, Operator>>;
