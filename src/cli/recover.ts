import { DeviceLostError } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { Context } from './command.ts';

/** A runtime that is replaced once when its device is lost; a second loss says that something else is wrong. */
export interface Recovering {
  readonly runtime: Runtime;
  /** Says what happened and opens another runtime; throws the loss where that has been done before. */
  renew(loss: DeviceLostError): Promise<Runtime>;
  /** Runs `use`, from its start again where the device is lost meanwhile. */
  attempt<T>(use: (runtime: Runtime) => Promise<T>): Promise<T>;
}

/** Opens the command's runtime for work that survives one loss of its device. */
export async function recovering(context: Context): Promise<Recovering> {
  let runtime = await context.runtime();
  let renewed = false;
  const renew = async (loss: DeviceLostError) => {
    if (renewed) throw loss;
    renewed = true;
    context.note(`the GPU device was lost (${loss.received}); starting again on a new one`);
    runtime = await context.reopen();
    return runtime;
  };
  return {
    get runtime() {
      return runtime;
    },
    renew,
    async attempt(use) {
      try {
        return await use(runtime);
      } catch (error) {
        if (!(error instanceof DeviceLostError)) throw error;
        return use(await renew(error));
      }
    },
  };
}
