-- The share of each emotion, length and confidence on each day, compared with the baseline period. A paragraph with several labels counts once for each, so that the shares sum to 1.
CREATE OR REPLACE VIEW emotions.stories_drift_by_bin AS
WITH counts AS (
  SELECT
    day,
    'emotion' AS measure,
    emotion AS bin,
    COUNT(*) AS paragraphs
  FROM emotions.stories_emotions_long AS emotions_long
  WHERE
    has_label
  GROUP BY
    1,
    2,
    3
  UNION ALL
  SELECT
    day,
    'emotion' AS measure,
    '(no label)' AS bin,
    COUNT(*) AS paragraphs
  FROM emotions.stories_paragraphs AS paragraphs
  WHERE
    label_count = 0
  GROUP BY
    1,
    2,
    3
  UNION ALL
  SELECT
    paragraphs.day,
    measures.measure,
    CASE measures.measure
      WHEN 'tokens'
      THEN CASE
        WHEN paragraphs.tokens <= 8
        THEN '1 to 8'
        WHEN paragraphs.tokens <= 16
        THEN '9 to 16'
        WHEN paragraphs.tokens <= 32
        THEN '17 to 32'
        WHEN paragraphs.tokens <= 64
        THEN '33 to 64'
        WHEN paragraphs.tokens <= 128
        THEN '65 to 128'
        WHEN paragraphs.tokens <= 256
        THEN '129 to 256'
        WHEN paragraphs.tokens <= 512
        THEN '257 to 512'
        ELSE 'over 512'
      END
      ELSE CASE
        WHEN paragraphs.confidence < 0.2
        THEN 'under 0.2'
        WHEN paragraphs.confidence < 0.3
        THEN '0.2 to 0.3'
        WHEN paragraphs.confidence < 0.4
        THEN '0.3 to 0.4'
        WHEN paragraphs.confidence < 0.5
        THEN '0.4 to 0.5'
        WHEN paragraphs.confidence < 0.6
        THEN '0.5 to 0.6'
        WHEN paragraphs.confidence < 0.7
        THEN '0.6 to 0.7'
        WHEN paragraphs.confidence < 0.8
        THEN '0.7 to 0.8'
        WHEN paragraphs.confidence < 0.9
        THEN '0.8 to 0.9'
        ELSE '0.9 to 1.0'
      END
    END AS bin,
    COUNT(*) AS paragraphs
  FROM emotions.stories_paragraphs AS paragraphs
  CROSS JOIN (VALUES
    ('tokens'),
    ('confidence')) AS measures(measure)
  GROUP BY
    1,
    2,
    3
), periods AS (
  SELECT
    day,
    measure,
    bin,
    paragraphs,
    MIN(day) OVER () AS baseline_from,
    CAST(MIN(day) OVER () + INTERVAL '6' DAY AS DATE) AS baseline_to
  FROM counts
), bins AS (
  SELECT
    measure,
    bin,
    CAST(SUM(CASE WHEN day BETWEEN baseline_from AND baseline_to THEN paragraphs ELSE 0 END) AS BIGINT) AS paragraphs
  FROM periods
  GROUP BY
    measure,
    bin
), baselines AS (
  SELECT
    measure,
    bin,
    paragraphs,
    CAST(SUM(paragraphs) OVER (PARTITION BY measure) AS BIGINT) AS total
  FROM bins
), days AS (
  SELECT
    day,
    measure,
    CAST(SUM(paragraphs) AS BIGINT) AS total
  FROM counts
  GROUP BY
    day,
    measure
), shares AS (
  SELECT
    days.measure,
    baselines.bin,
    days.day,
    COALESCE(counts.paragraphs, 0) AS paragraphs,
    days.total AS day_paragraphs,
    baselines.total AS baseline_paragraphs,
    CAST(COALESCE(counts.paragraphs, 0) AS DOUBLE) / days.total AS share,
    CAST(baselines.paragraphs AS DOUBLE) / NULLIF(baselines.total, 0) AS baseline_share
  FROM days
  JOIN baselines
    ON baselines.measure = days.measure
  LEFT JOIN counts
    ON counts.day = days.day AND counts.measure = days.measure AND counts.bin = baselines.bin
)
SELECT
  measure,
  bin,
  day,
  paragraphs,
  share,
  baseline_share,
  (
    CASE WHEN share < 0.0001 THEN 0.0001 ELSE share END - CASE WHEN baseline_share < 0.0001 THEN 0.0001 ELSE baseline_share END
  ) * LN(
    CASE WHEN share < 0.0001 THEN 0.0001 ELSE share END / CASE WHEN baseline_share < 0.0001 THEN 0.0001 ELSE baseline_share END
  ) AS psi,
  day_paragraphs,
  baseline_paragraphs
FROM shares
