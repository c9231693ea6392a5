-- The population stability index (PSI) of emotions, lengths and confidence on each day.
--
-- measure: emotion (the labels), tokens (the length) or confidence (the highest probability)
-- day: the date of the scores, in UTC
-- paragraphs: the sum of paragraphs over the bins of the day, as in drift_by_bin
-- baseline_paragraphs: the same of the baseline period
-- psi: the PSI of the day against the baseline period, or NULL if the period has no scores
-- expected_psi: the PSI that samples of these sizes have on average without any drift
-- drift: none, moderate (psi - expected_psi over 0.1) or strong (over 0.25)
SELECT
  measure,
  day,
  paragraphs,
  baseline_paragraphs,
  psi,
  expected_psi,
  CASE
    WHEN psi - expected_psi > 0.25 THEN 'strong'
    WHEN psi - expected_psi > 0.1 THEN 'moderate'
    WHEN psi IS NOT NULL THEN 'none'
  END AS drift
FROM (
  SELECT
    measure,
    day,
    MAX(day_paragraphs) AS paragraphs,
    MAX(baseline_paragraphs) AS baseline_paragraphs,
    SUM(psi) AS psi,
    (COUNT(*) - 1) * (
      CAST(1 AS DOUBLE) / MAX(day_paragraphs) + CAST(1 AS DOUBLE) / NULLIF(MAX(baseline_paragraphs), 0)
    ) AS expected_psi
  FROM drift_by_bin
  GROUP BY measure, day
) AS totals
