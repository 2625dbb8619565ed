import { sizeOf } from '../graph/ops/tensors.ts';
import type { LoweredInput, LoweredOutput, Operand, Step } from './lower.ts';
import { type Form, Placement, type Placing, plain, type TensorOperand } from './placement.ts';

/** Where a caller's buffer is copied to or from, and the steps between that and the network's own form. */
export interface Bridge {
  name: string;
  bytes: number;
  port: TensorOperand;
  steps: Step[];
}

const bytesOf = (dims: readonly number[]) => sizeOf(dims) * 4;

/** From the usual order to what the network reads. */
export function inputBridge(placing: Placing, { name, dims, port, images }: LoweredInput): Bridge {
  const bytes = bytesOf(dims);
  if (!images) return { name, bytes, port, steps: [] };
  const target = images.uint8.operands.output as TensorOperand;
  const placement = new Placement(placing);
  const given = placement.define(name, plain(dims), `${name} given`);
  const kind = images.qparams ? 'int8' : 'words';
  const made = placement.use(name, { kind, axis: images.axis, lanes: 4 });
  if (made.tensor === given.tensor) return { name, bytes, port: target, steps: [] };
  const steps = placement.steps.map((step) => ({ ...step, operands: renamed(step.operands, made, target) }));
  return { name, bytes, port: given, steps };
}

/** From what the network leaves to the usual order; null of a constant. */
export function outputBridge(placing: Placing, output: LoweredOutput): Bridge | null {
  const { name, dims, operand, qparams, stride, channels } = output;
  if (!operand) return null;
  const placement = new Placement(placing);
  const last = plain(dims);
  const form: Form =
    qparams || stride > channels ? { ...last, kind: qparams ? 'int8' : 'words', lanes: 4 } : last;
  placement.define(name, form, operand.tensor);
  const port = placement.use(name, last);
  return { name, bytes: bytesOf(dims), port, steps: placement.steps };
}

function renamed(
  operands: Step['operands'],
  from: TensorOperand,
  to: TensorOperand,
): Record<string, Operand> {
  return Object.fromEntries(
    Object.entries(operands).map(([name, operand]) => [
      name,
      'tensor' in operand && operand.tensor === from.tensor ? to : operand,
    ]),
  );
}
