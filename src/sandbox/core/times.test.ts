import assert from 'node:assert/strict';
import { type Precision, timeProblem, writeTime } from './times.ts';

describe('times', () => {
  const readable: readonly { given: string; precision: Precision; want: string }[] = [
    { given: '2025-01-01T00:00:00Z', precision: 'seconds', want: '2025-01-01T00:00:00Z' },
    { given: '2025-01-01T00:00:00.987Z', precision: 'seconds', want: '2025-01-01T00:00:00Z' },
    { given: '2025-01-01T01:30:00+01:30', precision: 'seconds', want: '2025-01-01T00:00:00Z' },
    { given: '2025-01-01T02:00:00.123456+02:00', precision: 'micros', want: '2025-01-01T00:00:00.123456Z' },
    { given: '2025-01-01T00:00:00.123456789Z', precision: 'micros', want: '2025-01-01T00:00:00.123456Z' },
    { given: '2024-02-29T00:00:00Z', precision: 'seconds', want: '2024-02-29T00:00:00Z' },
  ];
  for (const { given, precision, want } of readable) {
    it(`writes ${given} to the ${precision}`, () => {
      assert.equal(timeProblem(given, precision), undefined);
      assert.equal(writeTime(given, precision), want);
    });
  }

  const seconds = '"2006-01-02T15:04:05Z07:00"';
  const refused: readonly { given: string; precision: Precision; want: string }[] = [
    { given: 'now', precision: 'seconds', want: `parsing time "now" as ${seconds}: cannot parse "now" as "2006"` },
    { given: '', precision: 'seconds', want: `parsing time "" as ${seconds}: cannot parse "" as "2006"` },
    {
      given: '2025-01-01T00:00:00',
      precision: 'seconds',
      want: `parsing time "2025-01-01T00:00:00" as ${seconds}: cannot parse "" as "Z07:00"`,
    },
    {
      given: '2025-13-01T00:00:00Z',
      precision: 'seconds',
      want: 'parsing time "2025-13-01T00:00:00Z": month out of range',
    },
    {
      given: '2025-02-30T00:00:00Z',
      precision: 'seconds',
      want: 'parsing time "2025-02-30T00:00:00Z": day out of range',
    },
    {
      given: '2025-01-01T00:00:00Zx',
      precision: 'seconds',
      want: 'parsing time "2025-01-01T00:00:00Zx": extra text: "x"',
    },
    {
      given: '2025-01-01T00:00:00Z',
      precision: 'micros',
      want: 'parsing time "2025-01-01T00:00:00Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000"',
    },
  ];
  for (const { given, precision, want } of refused) {
    it(`refuses '${given}' to the ${precision}`, () => assert.equal(timeProblem(given, precision), want));
  }
});
