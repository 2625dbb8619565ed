// One formula, one twin: few rows are a matrix product too.
export { matmulAccumulators as matvecAccumulators } from './matmul-int8.ts';
