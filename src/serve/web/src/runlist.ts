// The runs that there are, newest first, and which of them a name means.

import type { Run } from "./api.ts";

/** What stands behind a model's name for its newest run, whichever that is. */
export const LATEST = "~latest";

export class RunList {
  constructor(readonly all: Run[] = []) {}

  /** The same with what is known now of one of them. */
  with(newer: Run): RunList {
    return new RunList(this.all.map((run) => (run.id === newer.id ? newer : run)));
  }

  ofModel(model: string): Run[] {
    return this.all.filter((run) => run.model === model);
  }

  /** The newest run that has something to show. */
  newest(model?: string): Run | undefined {
    const some = model ? this.ofModel(model) : this.all;
    return some.find((run) => run.steps_complete > 0) ?? some[0];
  }

  /** The run before: of the same model, the newest that began earlier. */
  before({ model, reference_time }: Run): Run | undefined {
    return this.ofModel(model).find((other) => Date.parse(other.reference_time) < Date.parse(reference_time));
  }

  /** The run that a name means now; `undefined` where there is none. */
  resolve(id: string): string | undefined {
    if (id.endsWith(LATEST)) return this.newest(id.slice(0, -LATEST.length))?.id;
    return this.all.find((run) => run.id === id)?.id;
  }
}
