-- One row for each scored paragraph that is not deleted, with measures of the model's certainty.
CREATE OR REPLACE TEMPORARY VIEW stories_paragraphs AS
SELECT
  id,
  document,
  position,
  text_sha256,
  label,
  scores.label AS labels,
  CAST(1 AS BIGINT) AS label_count,
  undertone_highest AS confidence,
  CASE
    WHEN COALESCE(CAST(scores.`joy` AS DOUBLE), 0) = undertone_second AND scores.label <> 'joy'
    THEN 'joy'
    WHEN COALESCE(CAST(scores.`sadness` AS DOUBLE), 0) = undertone_second AND scores.label <> 'sadness'
    THEN 'sadness'
    WHEN COALESCE(CAST(scores.`anger` AS DOUBLE), 0) = undertone_second AND scores.label <> 'anger'
    THEN 'anger'
    WHEN COALESCE(CAST(scores.`fear` AS DOUBLE), 0) = undertone_second AND scores.label <> 'fear'
    THEN 'fear'
    WHEN COALESCE(CAST(scores.`anticipation` AS DOUBLE), 0) = undertone_second
    AND scores.label <> 'anticipation'
    THEN 'anticipation'
    WHEN COALESCE(CAST(scores.`surprise` AS DOUBLE), 0) = undertone_second AND scores.label <> 'surprise'
    THEN 'surprise'
    WHEN COALESCE(CAST(scores.`love` AS DOUBLE), 0) = undertone_second AND scores.label <> 'love'
    THEN 'love'
    WHEN COALESCE(CAST(scores.`disgust` AS DOUBLE), 0) = undertone_second AND scores.label <> 'disgust'
    THEN 'disgust'
    WHEN COALESCE(CAST(scores.`neutral` AS DOUBLE), 0) = undertone_second AND scores.label <> 'neutral'
    THEN 'neutral'
  END AS second_label,
  undertone_highest - undertone_second AS margin,
  CASE
    WHEN (
      CASE WHEN CAST(scores.`joy` AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores.`sadness` AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores.`anger` AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores.`fear` AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores.`anticipation` AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores.`surprise` AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores.`love` AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores.`disgust` AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores.`neutral` AS DOUBLE) IS NULL THEN 0 ELSE 1 END
    ) < 2
    THEN 0
    ELSE (
      CASE
        WHEN COALESCE(CAST(scores.`joy` AS DOUBLE), 0) > 0
        THEN -COALESCE(CAST(scores.`joy` AS DOUBLE), 0) * LN(COALESCE(CAST(scores.`joy` AS DOUBLE), 0))
        ELSE 0
      END + CASE
        WHEN COALESCE(CAST(scores.`sadness` AS DOUBLE), 0) > 0
        THEN -COALESCE(CAST(scores.`sadness` AS DOUBLE), 0) * LN(COALESCE(CAST(scores.`sadness` AS DOUBLE), 0))
        ELSE 0
      END + CASE
        WHEN COALESCE(CAST(scores.`anger` AS DOUBLE), 0) > 0
        THEN -COALESCE(CAST(scores.`anger` AS DOUBLE), 0) * LN(COALESCE(CAST(scores.`anger` AS DOUBLE), 0))
        ELSE 0
      END + CASE
        WHEN COALESCE(CAST(scores.`fear` AS DOUBLE), 0) > 0
        THEN -COALESCE(CAST(scores.`fear` AS DOUBLE), 0) * LN(COALESCE(CAST(scores.`fear` AS DOUBLE), 0))
        ELSE 0
      END + CASE
        WHEN COALESCE(CAST(scores.`anticipation` AS DOUBLE), 0) > 0
        THEN -COALESCE(CAST(scores.`anticipation` AS DOUBLE), 0) * LN(COALESCE(CAST(scores.`anticipation` AS DOUBLE), 0))
        ELSE 0
      END + CASE
        WHEN COALESCE(CAST(scores.`surprise` AS DOUBLE), 0) > 0
        THEN -COALESCE(CAST(scores.`surprise` AS DOUBLE), 0) * LN(COALESCE(CAST(scores.`surprise` AS DOUBLE), 0))
        ELSE 0
      END + CASE
        WHEN COALESCE(CAST(scores.`love` AS DOUBLE), 0) > 0
        THEN -COALESCE(CAST(scores.`love` AS DOUBLE), 0) * LN(COALESCE(CAST(scores.`love` AS DOUBLE), 0))
        ELSE 0
      END + CASE
        WHEN COALESCE(CAST(scores.`disgust` AS DOUBLE), 0) > 0
        THEN -COALESCE(CAST(scores.`disgust` AS DOUBLE), 0) * LN(COALESCE(CAST(scores.`disgust` AS DOUBLE), 0))
        ELSE 0
      END + CASE
        WHEN COALESCE(CAST(scores.`neutral` AS DOUBLE), 0) > 0
        THEN -COALESCE(CAST(scores.`neutral` AS DOUBLE), 0) * LN(COALESCE(CAST(scores.`neutral` AS DOUBLE), 0))
        ELSE 0
      END
    ) / LN(
      CAST((
        CASE WHEN CAST(scores.`joy` AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores.`sadness` AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores.`anger` AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores.`fear` AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores.`anticipation` AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores.`surprise` AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores.`love` AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores.`disgust` AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores.`neutral` AS DOUBLE) IS NULL THEN 0 ELSE 1 END
      ) AS DOUBLE)
    )
  END AS entropy,
  tokens,
  chunks,
  truncated,
  COALESCE(flags, '') AS flags,
  COALESCE(flags, '') <> '' AS flagged,
  scores.model_name || ' ' || CAST(scores.model_version AS STRING) || ' ' || scores.`precision` || ' (' || scores.policy || ')' AS model,
  CAST('1970-01-01 00:00:00' AS TIMESTAMP_NTZ) + MAKE_DT_INTERVAL(0, 0, 0, UNIX_MICROS(scored_at) / CAST('1000000' AS DECIMAL(7, 0))) AS scored_at,
  DATE_ADD(CAST('1970-01-01' AS DATE), CAST(FLOOR(UNIX_MICROS(scored_at) / 86400000000) AS INT)) AS day
FROM (
  SELECT
    scores.*,
    GREATEST(
      COALESCE(CAST(scores.`joy` AS DOUBLE), 0),
      COALESCE(CAST(scores.`sadness` AS DOUBLE), 0),
      COALESCE(CAST(scores.`anger` AS DOUBLE), 0),
      COALESCE(CAST(scores.`fear` AS DOUBLE), 0),
      COALESCE(CAST(scores.`anticipation` AS DOUBLE), 0),
      COALESCE(CAST(scores.`surprise` AS DOUBLE), 0),
      COALESCE(CAST(scores.`love` AS DOUBLE), 0),
      COALESCE(CAST(scores.`disgust` AS DOUBLE), 0),
      COALESCE(CAST(scores.`neutral` AS DOUBLE), 0)
    ) AS undertone_highest,
    ELEMENT_AT(
      ARRAY_SORT(
        ARRAY(
          COALESCE(CAST(scores.`joy` AS DOUBLE), 0),
          COALESCE(CAST(scores.`sadness` AS DOUBLE), 0),
          COALESCE(CAST(scores.`anger` AS DOUBLE), 0),
          COALESCE(CAST(scores.`fear` AS DOUBLE), 0),
          COALESCE(CAST(scores.`anticipation` AS DOUBLE), 0),
          COALESCE(CAST(scores.`surprise` AS DOUBLE), 0),
          COALESCE(CAST(scores.`love` AS DOUBLE), 0),
          COALESCE(CAST(scores.`disgust` AS DOUBLE), 0),
          COALESCE(CAST(scores.`neutral` AS DOUBLE), 0),
          0
        )
      ),
      -2
    ) AS undertone_second
  FROM undertone.emotions.stories AS scores
  WHERE
    deleted_at IS NULL
) AS scores
