// What `npm run mutate` reads of a vitest run, a line of JSON for each test file as it begins and as it ends.
import { writeSync } from 'node:fs';

const CHANNEL = 3;
const say = (event) => writeSync(CHANNEL, `${JSON.stringify(event)}\n`);

export default class {
  onTestModuleStart({ relativeModuleId }) {
    say({ module: relativeModuleId });
  }

  onTestModuleEnd(module) {
    const results = [...module.children.allTests()].map((test) => test.result());
    const errors = [...module.errors(), ...results.flatMap((result) => result.errors ?? [])];
    // A filter that no test's name matches would let every mutant live.
    const ran = results.some(({ state }) => state !== 'skipped');
    // What cannot run at all says nothing about the tests.
    const broken = errors.some(({ message }) =>
      /does not compile|Transform failed|SyntaxError|PARSE_ERROR/.test(message),
    );
    const seconds = module.diagnostic().duration / 1000;
    say({
      module: module.relativeModuleId,
      state: ran && module.ok() ? 'passed' : 'failed',
      broken,
      seconds,
    });
  }
}
