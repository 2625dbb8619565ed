// One formula, one twin: the kernel differs from sum-splits in the order it adds in, which float64 does not show.
export { sumSplits as sumSplitsWide } from './sum-splits.ts';
