-- The population stability index (PSI) of emotions, lengths and confidence on each day.
CREATE OR REPLACE TEMPORARY VIEW stories_drift AS
SELECT
  measure,
  day,
  paragraphs,
  baseline_paragraphs,
  psi,
  expected_psi,
  CASE
    WHEN psi - expected_psi > 0.25
    THEN 'strong'
    WHEN psi - expected_psi > 0.1
    THEN 'moderate'
    WHEN NOT psi IS NULL
    THEN 'none'
  END AS drift
FROM (
  SELECT
    measure,
    day,
    MAX(day_paragraphs) AS paragraphs,
    MAX(baseline_paragraphs) AS baseline_paragraphs,
    SUM(psi) AS psi,
    (
      COUNT(*) - 1
    ) * (
      CAST(1 AS DOUBLE) / MAX(day_paragraphs) + CAST(1 AS DOUBLE) / NULLIF(MAX(baseline_paragraphs), 0)
    ) AS expected_psi
  FROM stories_drift_by_bin AS drift_by_bin
  GROUP BY
    measure,
    day
) AS totals
