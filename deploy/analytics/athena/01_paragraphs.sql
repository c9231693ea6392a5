-- One row for each scored paragraph that is not deleted, with measures of the model's certainty.
CREATE OR REPLACE VIEW emotions.stories_paragraphs AS
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
    WHEN COALESCE(CAST(scores."joy" AS DOUBLE), 0) = undertone_second AND scores.label <> 'joy'
    THEN 'joy'
    WHEN COALESCE(CAST(scores."sadness" AS DOUBLE), 0) = undertone_second AND scores.label <> 'sadness'
    THEN 'sadness'
    WHEN COALESCE(CAST(scores."anger" AS DOUBLE), 0) = undertone_second AND scores.label <> 'anger'
    THEN 'anger'
    WHEN COALESCE(CAST(scores."fear" AS DOUBLE), 0) = undertone_second AND scores.label <> 'fear'
    THEN 'fear'
    WHEN COALESCE(CAST(scores."anticipation" AS DOUBLE), 0) = undertone_second
    AND scores.label <> 'anticipation'
    THEN 'anticipation'
    WHEN COALESCE(CAST(scores."surprise" AS DOUBLE), 0) = undertone_second AND scores.label <> 'surprise'
    THEN 'surprise'
    WHEN COALESCE(CAST(scores."love" AS DOUBLE), 0) = undertone_second AND scores.label <> 'love'
    THEN 'love'
    WHEN COALESCE(CAST(scores."disgust" AS DOUBLE), 0) = undertone_second AND scores.label <> 'disgust'
    THEN 'disgust'
    WHEN COALESCE(CAST(scores."neutral" AS DOUBLE), 0) = undertone_second AND scores.label <> 'neutral'
    THEN 'neutral'
  END AS second_label,
  undertone_highest - undertone_second AS margin,
  CASE
    WHEN (
      CASE WHEN CAST(scores."joy" AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores."sadness" AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores."anger" AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores."fear" AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores."anticipation" AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores."surprise" AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores."love" AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores."disgust" AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores."neutral" AS DOUBLE) IS NULL THEN 0 ELSE 1 END
    ) < 2
    THEN 0
    ELSE CAST((
      CASE
        WHEN COALESCE(CAST(scores."joy" AS DOUBLE), 0) > 0
        THEN -COALESCE(CAST(scores."joy" AS DOUBLE), 0) * LN(COALESCE(CAST(scores."joy" AS DOUBLE), 0))
        ELSE 0
      END + CASE
        WHEN COALESCE(CAST(scores."sadness" AS DOUBLE), 0) > 0
        THEN -COALESCE(CAST(scores."sadness" AS DOUBLE), 0) * LN(COALESCE(CAST(scores."sadness" AS DOUBLE), 0))
        ELSE 0
      END + CASE
        WHEN COALESCE(CAST(scores."anger" AS DOUBLE), 0) > 0
        THEN -COALESCE(CAST(scores."anger" AS DOUBLE), 0) * LN(COALESCE(CAST(scores."anger" AS DOUBLE), 0))
        ELSE 0
      END + CASE
        WHEN COALESCE(CAST(scores."fear" AS DOUBLE), 0) > 0
        THEN -COALESCE(CAST(scores."fear" AS DOUBLE), 0) * LN(COALESCE(CAST(scores."fear" AS DOUBLE), 0))
        ELSE 0
      END + CASE
        WHEN COALESCE(CAST(scores."anticipation" AS DOUBLE), 0) > 0
        THEN -COALESCE(CAST(scores."anticipation" AS DOUBLE), 0) * LN(COALESCE(CAST(scores."anticipation" AS DOUBLE), 0))
        ELSE 0
      END + CASE
        WHEN COALESCE(CAST(scores."surprise" AS DOUBLE), 0) > 0
        THEN -COALESCE(CAST(scores."surprise" AS DOUBLE), 0) * LN(COALESCE(CAST(scores."surprise" AS DOUBLE), 0))
        ELSE 0
      END + CASE
        WHEN COALESCE(CAST(scores."love" AS DOUBLE), 0) > 0
        THEN -COALESCE(CAST(scores."love" AS DOUBLE), 0) * LN(COALESCE(CAST(scores."love" AS DOUBLE), 0))
        ELSE 0
      END + CASE
        WHEN COALESCE(CAST(scores."disgust" AS DOUBLE), 0) > 0
        THEN -COALESCE(CAST(scores."disgust" AS DOUBLE), 0) * LN(COALESCE(CAST(scores."disgust" AS DOUBLE), 0))
        ELSE 0
      END + CASE
        WHEN COALESCE(CAST(scores."neutral" AS DOUBLE), 0) > 0
        THEN -COALESCE(CAST(scores."neutral" AS DOUBLE), 0) * LN(COALESCE(CAST(scores."neutral" AS DOUBLE), 0))
        ELSE 0
      END
    ) AS DOUBLE) / LN(
      CAST((
        CASE WHEN CAST(scores."joy" AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores."sadness" AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores."anger" AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores."fear" AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores."anticipation" AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores."surprise" AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores."love" AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores."disgust" AS DOUBLE) IS NULL THEN 0 ELSE 1 END + CASE WHEN CAST(scores."neutral" AS DOUBLE) IS NULL THEN 0 ELSE 1 END
      ) AS DOUBLE)
    )
  END AS entropy,
  tokens,
  chunks,
  truncated,
  COALESCE(flags, '') AS flags,
  COALESCE(flags, '') <> '' AS flagged,
  scores.model_name || ' ' || CAST(scores.model_version AS VARCHAR) || ' ' || scores."precision" || ' (' || scores.policy || ')' AS model,
  CAST(AT_TIMEZONE(scored_at, 'UTC') AS TIMESTAMP) AS scored_at,
  CAST(AT_TIMEZONE(scored_at, 'UTC') AS DATE) AS day
FROM (
  SELECT
    scores.*,
    GREATEST(
      COALESCE(CAST(scores."joy" AS DOUBLE), 0),
      COALESCE(CAST(scores."sadness" AS DOUBLE), 0),
      COALESCE(CAST(scores."anger" AS DOUBLE), 0),
      COALESCE(CAST(scores."fear" AS DOUBLE), 0),
      COALESCE(CAST(scores."anticipation" AS DOUBLE), 0),
      COALESCE(CAST(scores."surprise" AS DOUBLE), 0),
      COALESCE(CAST(scores."love" AS DOUBLE), 0),
      COALESCE(CAST(scores."disgust" AS DOUBLE), 0),
      COALESCE(CAST(scores."neutral" AS DOUBLE), 0)
    ) AS undertone_highest,
    ELEMENT_AT(
      ARRAY_SORT(
        ARRAY[COALESCE(CAST(scores."joy" AS DOUBLE), 0), COALESCE(CAST(scores."sadness" AS DOUBLE), 0), COALESCE(CAST(scores."anger" AS DOUBLE), 0), COALESCE(CAST(scores."fear" AS DOUBLE), 0), COALESCE(CAST(scores."anticipation" AS DOUBLE), 0), COALESCE(CAST(scores."surprise" AS DOUBLE), 0), COALESCE(CAST(scores."love" AS DOUBLE), 0), COALESCE(CAST(scores."disgust" AS DOUBLE), 0), COALESCE(CAST(scores."neutral" AS DOUBLE), 0), 0]
      ),
      -2
    ) AS undertone_second
  FROM emotions.stories AS scores
  WHERE
    deleted_at IS NULL
) AS scores
