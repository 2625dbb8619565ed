/** How the learning rate moves over a run. */
export type Schedule = 'cosine' | 'constant' | 'one-cycle' | 'lab';

/** Of one-cycle: its first rate is the highest over this, and the last is that over 10,000. */
const START = 25;
const WARM_UP = 0.3;
/** The lab steps a cosine of five epochs at every iteration: down in five steps, up in five. */
const LAB_PERIOD = 10;

/**
 * The rate of a step from 0: half a cosine to zero (Loshchilov and Hutter, 2017); a constant; one cycle, up over the
 * first 30 % of the steps and down again (Smith, 2018, in PyTorch's shape); or the lab's, which swings.
 *
 * @example
 * rateAt('cosine', 0.1, 50, 100); // 0.05
 */
export function rateAt(schedule: Schedule, highest: number, step: number, steps: number): number {
  const fall = (from: number, to: number, part: number) =>
    to + ((from - to) / 2) * (1 + Math.cos(Math.PI * part));
  switch (schedule) {
    case 'constant':
      return highest;
    case 'cosine':
      return fall(highest, 0, step / steps);
    case 'lab':
      return fall(highest, 0, (2 * step) / LAB_PERIOD);
    case 'one-cycle': {
      const top = WARM_UP * steps - 1;
      if (step <= top) return fall(highest / START, highest, step / Math.max(1, top));
      return fall(highest, highest / START / 1e4, (step - top) / Math.max(1, steps - 1 - top));
    }
  }
}
