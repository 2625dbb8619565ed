import type { NodeSpec } from './node.ts';
import type { Plan } from './plan.ts';

/** An operator whose outputs and steps follow from its inputs' dtypes and dims and its attributes. */
export interface Operator {
  /** First opset that has it. */
  since: number;
  /** First opset that has it no more. */
  until?: number;
  /** '' unless given. */
  domain?: 'com.microsoft';
  /** Checks everything, infers the outputs and says how to compute them; a pure function. */
  plan(spec: NodeSpec): Plan;
}

/** Opsets of the default domain that operators follow; the newest is the default. */
export const OPSETS = { oldest: 7, newest: 27 } as const;
