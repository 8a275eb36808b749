// What a run prints at its end: a line for every threshold, kept or missed, beside what
// was measured; then what else the script has counted.

// k6's own metrics, which are printed only where a threshold asks for them.
const BUILT_IN = /^(grpc_|data_|iteration|vus|group_|checks|http_|dropped_)/;

export function handleSummary(data) {
  const judged = [];
  const counted = [];
  for (const [name, metric] of Object.entries(data.metrics)) {
    const thresholds = Object.entries(metric.thresholds || {});
    for (const [threshold, { ok }] of thresholds) {
      judged.push([ok ? 'ok' : 'MISSED', name, threshold, values(metric)]);
    }
    if (thresholds.length === 0 && !(BUILT_IN.test(name) && !name.includes('{'))) {
      counted.push(['', name, '', values(metric)]);
    }
  }
  return { stdout: table(judged.sort(byName).concat(counted.sort(byName))) };
}

function byName(one, other) {
  return one[1] < other[1] ? -1 : 1;
}

// Counters as a count and a rate, trends in milliseconds, gauges as last seen.
function values({ type, values: found }) {
  if (type === 'counter') return `${found.count} (${found.rate.toFixed(1)}/s)`;
  if (type === 'gauge') return `${found.value}`;
  const parts = ['med', 'p(90)', 'p(99)', 'max'].map((name) => `${name} ${Number(found[name] || 0).toFixed(1)}`);
  return `${parts.join(', ')} ms`;
}

function table(rows) {
  const width = (column) => Math.max(0, ...rows.map((row) => row[column].length));
  const widths = [0, 1, 2].map(width);
  const line = (row) => row.map((cell, column) => cell.padEnd(widths[column] || 0)).join('  ').trimEnd();
  return `${rows.map(line).join('\n')}\n`;
}
